//! Opens stores, with the credentials that the environment has.

use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::address::{Address, Place};
use super::connection::Connector;
use super::failure::Failure;
use super::settings::RemoteSettings;

/// How often a request is repeated that a store could not answer, with growing pauses.
const RETRIES: usize = 4;

/// Opens the store of an address. Nothing is asked yet.
pub(super) fn open(address: &Address, settings: &RemoteSettings) -> Result<Box<dyn ObjectStore>, Failure> {
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() },
        max_retries: RETRIES,
        retry_timeout: Duration::from_secs(120),
    };
    let connector =
        Connector { patience: settings.patience, redirects: matches!(address.place, Place::Web { .. }) };
    let opened: object_store::Result<Box<dyn ObjectStore>> = match &address.place {
        Place::S3(bucket) => AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_retry(retry)
            .with_http_connector(connector)
            .build()
            .map(|store| Box::new(store) as _),
        Place::Gcs(bucket) => GoogleCloudStorageBuilder::from_env()
            .with_bucket_name(bucket)
            .with_retry(retry)
            .with_http_connector(connector)
            .build()
            .map(|store| Box::new(store) as _),
        Place::Web { origin, query } => HttpBuilder::new()
            .with_url(format!("{origin}{query}"))
            .with_client_options(ClientOptions::new().with_allow_http(origin.starts_with("http://")))
            .with_retry(retry)
            .with_http_connector(connector)
            .build()
            .map(|store| Box::new(store) as _),
    };
    opened.map_err(|error| Failure::Settings(error.to_string()))
}
