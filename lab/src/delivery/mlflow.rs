//! Delivery to an MLflow server.
//!
//! MLflow adds metrics to those that it has, so that each request is sent once. Before a request is sent, that it is about to be is kept next to
//! the run; if no answer comes, the server is asked whether it has the metrics before they are sent again. A run is found again by its
//! tag. Pictures are files of the run on the server, under the names by which MLflow's own client has them shown step by step.

use std::path::Path;

use archaeo_training::Picture;
use archaeo_training::trackers::{Metric, MlflowRequest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::mlflow_client::Client;
use super::{Delivered, DeliveryError, Destination, keep_progress, progress, written};

/// What the tracker writes, and how much of it is delivered.
const REQUESTS: &str = "mlflow.jsonl";
const PROGRESS: &str = "mlflow.sent.json";

/// Tag of a run with the id that its log gives it.
const TAG: &str = "archaeo.run";

/// Tag by which MLflow knows that a run has pictures.
const HAS_PICTURES: &str = "mlflow.loggedImages";

/// A server, or why there is none.
pub(super) struct Server {
    address: Result<String, String>,
    authorization: Option<String>,
    /// Overrides the recipe's `project`.
    experiment: Option<String>,
}

/// What was delivered of which run, and where.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
struct Progress {
    /// Id of the run in its log, and the server.
    id: String,
    address: String,
    /// The server's ids.
    run: Option<String>,
    experiment: Option<String>,
    /// Whether the run was there already, so that it is not known what it has.
    found: bool,
    /// Parameters that are there.
    parameters: usize,
    /// Pictures that are there.
    #[serde(default)]
    pictures: usize,
    /// Epoch and part of the latest metrics that are there.
    sent: Option<(usize, usize)>,
    /// Those that were sent, and not answered yet.
    sending: Option<(usize, usize)>,
    /// Status of a run that has ended.
    status: Option<String>,
}

impl Server {
    /// As the variables of MLflow's own client say it.
    pub fn from_environment(offline: bool) -> Self {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let token = text("MLFLOW_TRACKING_TOKEN").map(|token| format!("Bearer {token}"));
        let password = text("MLFLOW_TRACKING_USERNAME").zip(text("MLFLOW_TRACKING_PASSWORD"));
        let password =
            password.map(|(name, word)| format!("Basic {}", STANDARD.encode(format!("{name}:{word}"))));
        let address = match text("MLFLOW_TRACKING_URI") {
            _ if offline => Err("--offline is given".into()),
            None => Err("MLFLOW_TRACKING_URI is not set; give it the address of a server, such as http://127.0.0.1:5000".into()),
            Some(address) => checked(&address),
        };
        Self { address, authorization: password.or(token), experiment: text("MLFLOW_EXPERIMENT_NAME") }
    }

    #[cfg(test)]
    pub fn at(address: &str) -> Self {
        Self { address: checked(address), authorization: None, experiment: None }
    }
}

/// An address without a slash at its end; or what is wrong with it, without repeating a password.
fn checked(address: &str) -> Result<String, String> {
    let Some((scheme, rest)) =
        address.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme))
    else {
        return Err("MLFLOW_TRACKING_URI is not an address of a server, such as http://127.0.0.1:5000".into());
    };
    if rest.split('/').next().is_some_and(|host| host.contains('@')) {
        let remedy = "give them in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD";
        return Err(format!("MLFLOW_TRACKING_URI has a name and a password in it; {remedy}"));
    }
    Ok(format!("{scheme}://{}", rest.trim_end_matches('/')))
}

impl Destination for Server {
    fn tracker(&self) -> &'static str {
        "mlflow"
    }

    fn deliver(&self, folder: &Path) -> Result<Delivered, DeliveryError> {
        let address = self.address.clone().map_err(DeliveryError::Nowhere)?;
        let requests = read(folder)?;
        let mut delivery = Delivery {
            client: Client::new(&address, self.authorization.clone()),
            folder,
            progress: progress(&folder.join(PROGRESS)),
            lines: 0,
            left_out: None,
        };
        let mut to = address.clone();
        if let Some((MlflowRequest::Run { id, name, experiment, start_time }, rest)) = requests.split_first()
        {
            if (&delivery.progress.id, &delivery.progress.address) != (id, &address) {
                delivery.progress =
                    Progress { id: id.clone(), address: address.clone(), ..Progress::default() };
            }
            let experiment = self.experiment.as_ref().unwrap_or(experiment);
            let run = delivery.run(experiment, name, *start_time)?;
            delivery.send(&run, rest)?;
            to += &format!(
                "/#/experiments/{}/runs/{run}",
                delivery.progress.experiment.as_deref().unwrap_or_default()
            );
        }
        let Delivery { lines, left_out, .. } = delivery;
        Ok(Delivered { tracker: self.tracker(), run: folder.to_owned(), to, lines, left_out })
    }
}

/// One delivery to one server.
struct Delivery<'a> {
    client: Client,
    folder: &'a Path,
    progress: Progress,
    /// Requests that were delivered by it.
    lines: usize,
    /// What the server does not take.
    left_out: Option<String>,
}

impl Delivery<'_> {
    fn keep(&self) -> Result<(), DeliveryError> {
        Ok(keep_progress(&self.folder.join(PROGRESS), &self.progress)?)
    }

    /// The server's id of the run, which is created if there is none.
    fn run(&mut self, experiment: &str, name: &str, start_time: i64) -> Result<String, DeliveryError> {
        if let Some(run) = &self.progress.run {
            return Ok(run.clone());
        }
        let id = self.progress.id.clone();
        let experiment = self.client.experiment(experiment)?;
        let run = match self.client.find_run(&experiment, (TAG, &id))? {
            Some(run) => {
                self.progress.found = true;
                run
            }
            None => {
                let tags =
                    json!([{ "key": TAG, "value": id }, { "key": "mlflow.source.name", "value": "archaeo" }]);
                self.client.create_run(&json!({
                    "experiment_id": experiment,
                    "run_name": name,
                    "start_time": start_time,
                    "tags": tags,
                }))?
            }
        };
        (self.progress.run, self.progress.experiment) = (Some(run.clone()), Some(experiment));
        self.lines += 1;
        self.keep()?;
        Ok(run)
    }

    fn send(&mut self, run: &str, requests: &[MlflowRequest]) -> Result<(), DeliveryError> {
        let ends = requests.iter().find_map(|request| match request {
            MlflowRequest::End { status, .. } => Some(status.clone()),
            _ => None,
        });
        if self.progress.status.is_some() && self.progress.status != ends {
            // It was stopped and goes on.
            self.client.update_run(&json!({ "run_id": run, "status": "RUNNING" }))?;
            self.progress.status = None;
            self.keep()?;
        }
        let mut parameters = 0;
        for request in requests {
            match request {
                MlflowRequest::Run { .. } | MlflowRequest::Picture { .. } => {}
                MlflowRequest::Parameters { params } => {
                    parameters += 1;
                    // Parameters that are there already may be sent again.
                    if parameters > self.progress.parameters {
                        self.client.log_batch(&json!({ "run_id": run, "params": params }))?;
                        self.progress.parameters = parameters;
                        self.delivered()?;
                    }
                }
                MlflowRequest::Metrics { epoch, part, metrics } => {
                    if self.progress.sent.is_none_or(|sent| sent < (*epoch, *part)) {
                        self.metrics(run, (*epoch, *part), metrics)?;
                    }
                }
                MlflowRequest::End { status, end_time, tags } => {
                    if self.progress.status.as_ref() != Some(status) {
                        self.client.log_batch(&json!({ "run_id": run, "tags": tags }))?;
                        let update = json!({ "run_id": run, "status": status, "end_time": end_time });
                        self.client.update_run(&update)?;
                        self.progress.status = Some(status.clone());
                        self.delivered()?;
                    }
                }
            }
        }
        // Last, so that a server that takes no files has all else.
        self.pictures(run, requests)
    }

    /// Sends the pictures that are not there yet. One that is there already is replaced by itself.
    fn pictures(&mut self, run: &str, requests: &[MlflowRequest]) -> Result<(), DeliveryError> {
        let pictures = requests.iter().filter_map(|request| match request {
            MlflowRequest::Picture { key, timestamp, step, picture } => {
                Some((format!("{key}+step+{step}+timestamp+{timestamp}"), picture))
            }
            _ => None,
        });
        let new: Vec<(String, &Picture)> = pictures.skip(self.progress.pictures).collect();
        if new.is_empty() {
            return Ok(());
        }
        let location = self.client.artifact_uri(run)?;
        let Some(place) = location.strip_prefix("mlflow-artifacts:/").filter(|place| !place.starts_with('/'))
        else {
            self.left_out = Some(format!(
                "pictures stay in {}, since the MLflow server does not take files of its runs; start it with --serve-artifacts, and                  give MLFLOW_EXPERIMENT_NAME the name of a new experiment",
                self.folder.display()
            ));
            return Ok(());
        };
        let tags = json!([{ "key": HAS_PICTURES, "value": "True" }]);
        self.client.log_batch(&json!({ "run_id": run, "tags": tags }))?;
        for (name, picture) in new {
            // One that was removed or changed is not what the log names.
            if let Some(bytes) = picture.read(self.folder) {
                // MLflow's page reads `~` as a slash, shows the copy that it calls compressed, and opens the other.
                let path = format!("{place}/images/{}+{}", name.replace('/', "~"), &picture.sha256[..20]);
                self.client.put_file(&format!("{path}.png"), &bytes)?;
                self.client.put_file(&format!("{path}+compressed.png"), &bytes)?;
            }
            self.progress.pictures += 1;
            self.delivered()?;
        }
        Ok(())
    }

    fn metrics(&mut self, run: &str, place: (usize, usize), metrics: &[Metric]) -> Result<(), DeliveryError> {
        let unsure = self.progress.found || self.progress.sending == Some(place);
        if !(unsure && self.has_arrived(run, metrics)?) {
            (self.progress.sending, self.progress.found) = (Some(place), false);
            self.keep()?;
            self.client.log_batch(&json!({ "run_id": run, "metrics": metrics }))?;
        }
        (self.progress.sent, self.progress.sending) = (Some(place), None);
        self.delivered()
    }

    /// Whether the server has the last of these metrics.
    fn has_arrived(&self, run: &str, metrics: &[Metric]) -> Result<bool, DeliveryError> {
        let Some(Metric { key, step, .. }) = metrics.last() else { return Ok(true) };
        Ok(self.client.latest_step(run, key)?.is_some_and(|latest| latest >= *step))
    }

    fn delivered(&mut self) -> Result<(), DeliveryError> {
        self.lines += 1;
        self.keep()
    }
}

/// The requests of the run in `folder`.
fn read(folder: &Path) -> Result<Vec<MlflowRequest>, DeliveryError> {
    let path = folder.join(REQUESTS);
    let text = written(&path)?;
    let request = |(place, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| DeliveryError::Damaged {
            path: path.clone(),
            line: place + 1,
            reason: error.to_string(),
        })
    };
    text.lines().enumerate().map(request).collect()
}
