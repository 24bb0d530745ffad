//! MLflow's REST interface, version 2.0.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

use super::DeliveryError;

/// How long the server may take for an answer; a training waits for it.
const ANSWER: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(3);

/// The most bytes of an answer that are read.
const LARGEST_ANSWER: u64 = 16 << 20;

/// The most characters of what the server says that are repeated.
const LONGEST_REASON: usize = 200;

/// A server.
pub(super) struct Client {
    agent: Agent,
    /// Address without a slash at its end.
    address: String,
    /// The value of an `Authorization` header.
    authorization: Option<String>,
}

impl Client {
    pub fn new(address: &str, authorization: Option<String>) -> Self {
        let agent = Agent::config_builder()
            // What was asked of one server is not sent to another.
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(ANSWER))
            .user_agent(concat!("archaeo/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self { agent, address: address.to_owned(), authorization }
    }

    /// The id of an experiment, which is created if there is none of this name.
    pub fn experiment(&self, name: &str) -> Result<String, DeliveryError> {
        let request = format!("experiments/get-by-name?experiment_name={}", percent_encoded(name));
        let found = match self.get(&request) {
            Err(DeliveryError::Refused { status: 404, .. }) => None,
            other => text(&other?, "/experiment/experiment_id"),
        };
        match found {
            Some(id) => Ok(id),
            None => {
                let created = self.post("experiments/create", &json!({ "name": name }))?;
                self.required(text(&created, "/experiment_id"), "experiments/create")
            }
        }
    }

    /// The run with this tag, if there is one: an answer may have been lost on its way.
    pub fn find_run(
        &self,
        experiment: &str,
        (key, value): (&str, &str),
    ) -> Result<Option<String>, DeliveryError> {
        let query = json!({
            "experiment_ids": [experiment],
            "filter": format!("tags.`{key}` = '{value}'"),
            "max_results": 1,
        });
        Ok(text(&self.post("runs/search", &query)?, "/runs/0/info/run_id"))
    }

    pub fn create_run(&self, run: &Value) -> Result<String, DeliveryError> {
        let created = self.post("runs/create", run)?;
        self.required(text(&created, "/run/info/run_id"), "runs/create")
    }

    pub fn update_run(&self, update: &Value) -> Result<(), DeliveryError> {
        self.post("runs/update", update).map(drop)
    }

    pub fn log_batch(&self, batch: &Value) -> Result<(), DeliveryError> {
        self.post("runs/log-batch", batch).map(drop)
    }

    /// The latest step that a run has a value of this metric for.
    pub fn latest_step(&self, run: &str, metric: &str) -> Result<Option<u64>, DeliveryError> {
        let found = self.get(&format!("runs/get?run_id={run}"))?;
        let metrics = found.pointer("/run/data/metrics").and_then(Value::as_array);
        let latest = metrics.into_iter().flatten().find(|latest| latest["key"] == metric);
        // Protocol buffers write large integers as texts.
        Ok(latest
            .and_then(|latest| latest["step"].as_u64().or_else(|| latest["step"].as_str()?.parse().ok())))
    }

    /// Where the files of a run are kept.
    pub fn artifact_uri(&self, run: &str) -> Result<String, DeliveryError> {
        let found = self.get(&format!("runs/get?run_id={run}"))?;
        self.required(text(&found, "/run/info/artifact_uri"), "runs/get")
    }

    /// Writes a file where the server keeps files of runs, in place of one that is there.
    pub fn put_file(&self, path: &str, bytes: &[u8]) -> Result<(), DeliveryError> {
        let path: Vec<String> = path.split('/').map(percent_encoded).collect();
        let address = format!("{}/api/2.0/mlflow-artifacts/artifacts/{}", self.address, path.join("/"));
        let mut asked = self.agent.put(address);
        if let Some(authorization) = &self.authorization {
            asked = asked.header("authorization", authorization);
        }
        self.answer("mlflow-artifacts", asked.send(bytes)).map(drop)
    }

    fn get(&self, request: &str) -> Result<Value, DeliveryError> {
        let mut asked = self.agent.get(self.url(request));
        if let Some(authorization) = &self.authorization {
            asked = asked.header("authorization", authorization);
        }
        self.answer(request, asked.call())
    }

    fn post(&self, request: &str, body: &Value) -> Result<Value, DeliveryError> {
        let mut asked = self.agent.post(self.url(request)).header("content-type", "application/json");
        if let Some(authorization) = &self.authorization {
            asked = asked.header("authorization", authorization);
        }
        self.answer(request, asked.send(body.to_string()))
    }

    fn url(&self, request: &str) -> String {
        format!("{}/api/2.0/mlflow/{request}", self.address)
    }

    fn answer(
        &self,
        request: &str,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value, DeliveryError> {
        let mut answer = answer.map_err(|error| self.unreachable(&error))?;
        let body = answer.body_mut().with_config().limit(LARGEST_ANSWER).read_to_string();
        let body = body.map_err(|error| self.unreachable(&error))?;
        let status = answer.status().as_u16();
        let value = serde_json::from_str::<Value>(&body);
        match (status, value) {
            (200, Ok(value)) => Ok(value),
            // To a file.
            (200, Err(_)) if body.is_empty() => Ok(Value::Null),
            (200, Err(_)) => {
                Err(self.refused(request, status, "its answer is not JSON: is it an MLflow server?"))
            }
            (_, value) => {
                let said = value.ok().and_then(|value| Some(value["message"].as_str()?.to_owned()));
                Err(self.refused(request, status, &said.unwrap_or_else(|| "it gives no reason".into())))
            }
        }
    }

    fn required(&self, found: Option<String>, request: &str) -> Result<String, DeliveryError> {
        found.ok_or_else(|| self.refused(request, 200, "the answer has no id"))
    }

    fn unreachable(&self, error: &ureq::Error) -> DeliveryError {
        DeliveryError::Unreachable { address: self.address.clone(), reason: error.to_string() }
    }

    fn refused(&self, request: &str, status: u16, reason: &str) -> DeliveryError {
        let reason = reason.lines().next().unwrap_or_default().chars().take(LONGEST_REASON).collect();
        let request = request.split('?').next().unwrap_or_default().to_owned();
        DeliveryError::Refused { address: self.address.clone(), status, request, reason }
    }
}

fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    Some(value.pointer(pointer)?.as_str()?.to_owned())
}
