//! The engine of OSO kafka-backup behind two commands, for the benchmarks of hubvault: only the engine is published as a crate.
//!
//!     rivals backup|restore CONFIG.json       the configuration is the engine's own, as JSON

use kafka_backup_core::{backup::BackupEngine, Config, RestoreEngine};
use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() != 3 {
        return Err("usage: rivals backup|restore CONFIG.json".into());
    }
    let config: Config = serde_json::from_str(&std::fs::read_to_string(&arguments[2])?)?;
    match arguments[1].as_str() {
        "backup" => BackupEngine::new(config).await?.run().await?,
        "restore" => {
            RestoreEngine::new(config)?.run().await?;
        }
        other => return Err(format!("no command '{other}'").into()),
    }
    Ok(())
}
