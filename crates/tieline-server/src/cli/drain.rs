//! `tieline drain`: begins the drain of a node.

use clap::Args;
use serde_json::json;

use super::{
    admin_client::{AdminClient, AdminFlags, block_on, plain},
    print::print,
};

#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// Address of the node for its peers, as `tieline top` shows it; if absent, the node at --admin
    #[arg(long, value_name = "ADDRESS")]
    node: Option<String>,
    #[command(flatten)]
    admin: AdminFlags,
}

impl Drain {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let client = AdminClient::new(&self.admin)?;
        let body = match &self.node {
            Some(node) => json!({"node": node}),
            None => json!({}),
        };
        let answer = block_on(client.post("/api/drain", &body))?;
        let node = plain(answer["draining"].as_str().unwrap_or_default());
        print(format!("{node} drains\n").as_bytes())
    }
}
