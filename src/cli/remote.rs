//! Which engine a command speaks to: this workspace's own over its socket, or one somewhere else.

use std::path::PathBuf;

use clap::Args;

use crate::api::client::{Address, Remote};
use crate::cli::context;
use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::output::say;
use crate::engine::Operator as _;
use crate::engine::protocol::command::{Command, Envelope, Refused, Reply};
use crate::engine::protocol::query::{Answer, Query, QueryError};
use crate::journal::{JournalError, ReadOnly};

/// Whose token it is sent with.
#[derive(Debug, Clone, Default, Args)]
pub struct Token {
    /// The variable that holds the admin token
    #[arg(long, value_name = "NAME", default_value = "BSM_TOKEN")]
    token_env: String,
    /// A file that holds the admin token
    #[arg(long, value_name = "FILE", conflicts_with = "token_env")]
    token_file: Option<PathBuf>,
}

impl Token {
    /// The token, where there is one.
    pub fn read(&self, setup: &Setup) -> Result<Option<String>, Failure> {
        let Some(path) = &self.token_file else {
            return Ok(setup.env.get(&self.token_env).map(str::to_owned));
        };
        let text = std::fs::read_to_string(path).map_err(|e| {
            let what = format!("{}: {e}", context::shown(path));
            Failure::usage(what, "Name a file that can be read.")
        })?;
        Ok(Some(text.trim().to_owned()))
    }
}

/// Which engine.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which engine")]
pub struct Where {
    /// http://HOST:PORT, https://HOST or unix:PATH (default: this workspace's own)
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    token: Token,
}

/// The address that somebody wrote.
pub fn address(text: &str, token: Option<String>) -> Result<Address, Failure> {
    Address::read(text, token)
        .map_err(|e| Failure::usage(e, "For example http://127.0.0.1:3000, or unix:PATH."))
}

impl Where {
    /// The address that was named, if one was.
    pub fn named(&self, setup: &Setup) -> Result<Option<Address>, Failure> {
        match &self.url {
            Some(url) => address(url, self.token.read(setup)?).map(Some),
            None => Ok(None),
        }
    }

    /// Asks the engine that was named; `None` when none was.
    pub fn ask(&self, setup: &Setup, query: Query) -> Result<Option<Answer>, Failure> {
        let Some(address) = self.named(setup)? else {
            return Ok(None);
        };
        with(address, async |remote| {
            remote.query(query).await.map(Some).map_err(|e| match e {
                QueryError::NotFound { .. } => Failure::usage(e, "`bsm runs` lists their ids."),
                QueryError::Unavailable { .. } => Failure::engine(e),
            })
        })
    }

    /// What the engine that was named says, else what the journal has; nothing where there is no journal.
    pub fn or_journal<T: Default>(
        &self,
        setup: &Setup,
        query: Query,
        take: impl FnOnce(Answer) -> Option<T>,
        read: impl FnOnce(&ReadOnly) -> Result<T, JournalError>,
    ) -> Result<T, Failure> {
        if let Some(answer) = self.ask(setup, query)? {
            return take(answer)
                .ok_or_else(|| Failure::engine("the engine answered something else"));
        }
        match setup.journal()? {
            Some(journal) => read(&journal).map_err(Failure::engine),
            None => Ok(T::default()),
        }
    }

    /// Sends a command to the engine that was named, else to this workspace's own; says what it did.
    pub fn command(&self, setup: &Setup, command: Command) -> Result<u8, Failure> {
        let address = match self.named(setup)? {
            Some(address) => address,
            None => Address::Socket(setup.state.socket()),
        };
        let envelope = Envelope {
            command,
            actor: "cli".into(),
            correlation: None,
        };
        with(address, async |remote| match remote.send(envelope).await {
            Ok(Reply::Done { what }) => {
                say(crate::text::clean_line(&what, 400));
                Ok(0)
            }
            Ok(Reply::Accepted { run, .. }) => {
                let run = crate::text::clean_line(&run, 80);
                say(format!(
                    "run {run} accepted; `bsm runs show {run}` shows it"
                ));
                Ok(0)
            }
            Ok(_) => Err(Failure::engine("the engine answered something else")),
            Err(refused @ (Refused::InvalidInput { .. } | Refused::NotFound { .. })) => {
                Err(Failure::usage(refused, "`bsm status` says what there is."))
            }
            Err(refused) => Err(Failure::engine(refused)),
        })
    }
}

/// Does something with an engine somewhere else.
pub fn with<T>(
    address: Address,
    work: impl AsyncFnOnce(&Remote) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let runtime = context::runtime()?;
    let done = runtime.block_on(async {
        let remote = Remote::connect(address).await.map_err(|e| {
            Failure::engine(e)
                .with_help("Is it running? `bsm serve` starts one, `bsm status` says what runs.")
        })?;
        work(&remote).await
    });
    runtime.shutdown_background();
    done
}
