//! `longshore service …`.

pub mod deploy;

use anyhow::Result;
use clap::{Args, Subcommand};
use longshore_client::escape;

use crate::{
    context::Context,
    exit::Exit,
    views::{ServiceDetail, ServiceList},
};

/// What to do with services.
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Deploy a service from its spec, and wait until it is ready
    Deploy(deploy::DeployArgs),
    /// List services
    #[command(alias = "list", after_help = "Examples:\n  longshore service ls\n  longshore service ls --format json")]
    Ls,
    /// Show a service and its replicas
    #[command(after_help = "Examples:\n  longshore service show search")]
    Show(ServiceName),
    /// Remove services and their containers
    #[command(alias = "remove", after_help = "Examples:\n  longshore service rm search")]
    Rm(ServiceNames),
}

/// Which service.
#[derive(Debug, Args)]
pub struct ServiceName {
    /// The service's name
    #[arg(value_name = "SERVICE")]
    name: String,
}

/// Which services.
#[derive(Debug, Args)]
pub struct ServiceNames {
    /// The services' names
    #[arg(value_name = "SERVICE", required = true)]
    names: Vec<String>,
}

/// Does it.
pub async fn run(command: ServiceCommand, context: &Context) -> Result<Exit> {
    match command {
        ServiceCommand::Deploy(args) => deploy::run(args, context).await,
        ServiceCommand::Ls => {
            let services = context.connect().await?.services().await?;
            context.printer.view(&ServiceList(services))?;
            Ok(Exit::Done)
        }
        ServiceCommand::Show(service) => {
            let service = context.connect().await?.service(&service.name).await?;
            context.printer.view(&ServiceDetail(service))?;
            Ok(Exit::Done)
        }
        ServiceCommand::Rm(services) => remove(services, context).await,
    }
}

async fn remove(services: ServiceNames, context: &Context) -> Result<Exit> {
    let (place, client) = (context.place()?, context.connect().await?);
    for name in &services.names {
        client.remove_service(name).await?;
        context.printer.note(&format!("service {} removed at {place}", escape::line(name)));
    }
    Ok(Exit::Done)
}
