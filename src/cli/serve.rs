//! `bsm serve`: an engine without a screen, behind HTTP and the owner's socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::api::{ApiConfig, Face};
use crate::cli::context;
use crate::cli::context::Setup;
use crate::cli::failure::{Failure, refuse_when_read_only};
use crate::cli::global::Global;
use crate::cli::output::{note, say};
use crate::cli::sd_notify::Notify;
use crate::engine::config::store::SettingsLoader;
use crate::engine::protocol::command::{Command, Envelope};
use crate::engine::protocol::query::Query;
use crate::engine::{Handle, Operator};
use crate::file_set::FileSet;
use crate::settings::{Environment, NamedToken};
use crate::state::{Holder, Lock, StateError};
use crate::text::clean_line;

/// Serve the engine: HTTP and the owner's socket, no screen.
///
/// SIGTERM and Ctrl-C let requests and steps end and stop; SIGHUP reads settings and workspace again.
/// Beyond this machine it listens only with an admin token (ADMIN_TOKEN).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bsm serve
  ADMIN_TOKEN=… bsm serve --listen 127.0.0.1:3000
  bsm attach                     the console over it, on this machine
  curl -s 127.0.0.1:3000/health")]
pub struct ServeArgs {
    /// Where to listen (default: api.listen, 127.0.0.1:3000)
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The owner's socket only
    #[arg(long, conflicts_with = "listen")]
    no_tcp: bool,
    /// Write down and show what would be published at GitHub, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Serve although this is root
    #[arg(long)]
    allow_root: bool,
}

/// Requests and steps under way may take this long to end.
const STOP: Duration = Duration::from_secs(10);

pub(super) fn run(global: &Global, args: &ServeArgs) -> Result<u8, Failure> {
    refuse_when_read_only(global)?;
    if rustix::process::geteuid().is_root() && !args.allow_root {
        return Err(Failure::usage(
            "this is root; a server of models and webhooks should not be",
            "Use a user of its own, or --allow-root.",
        ));
    }
    let setup = Setup::read(global)?;
    let mut config = config(&setup, args)?;
    let log = Arc::new(setup.start_log()?);
    // Where a socket may be is known once the state directory is there.
    config.socket = Some(setup.state.socket());
    let _lock = lock(&setup)?;
    let runtime = context::runtime()?;
    runtime.block_on(async {
        let mut engine = setup.engine(context::mode(global), true, Some(log));
        if args.dry_run {
            engine.settings.github.dry_run = true;
            engine.settings_loader = engine.settings_loader.map(dry);
        }
        let handle = Arc::new(Handle::start(engine).await.map_err(Failure::engine)?);
        context::warm_rules();
        let operator: Arc<dyn Operator> = Arc::clone(&handle) as Arc<dyn Operator>;
        let socket = config.socket.clone();
        let opened = Face::open(Arc::clone(&operator), config).await;
        let face = match opened {
            Ok(face) => face,
            Err(error) => {
                handle.stop(Duration::from_secs(1)).await;
                return Err(Failure::engine(error)
                    .with_help("Give another --listen, set ADMIN_TOKEN, or use --no-tcp."));
            }
        };
        if let Some(address) = face.address() {
            say(format!("serving at http://{address}"));
        }
        if let Some(socket) = socket {
            say(format!("  and at unix:{}", socket.display()));
        }
        let notify = Notify::new(&setup.env);
        notify.say("READY=1");
        wait(&operator, &notify).await?;
        notify.say("STOPPING=1");
        face.close(STOP).await;
        handle.stop(STOP).await;
        Ok(0)
    })
}

/// A lock that is being released is waited for this long: a restart begins before the old engine has ended.
const RELEASED: Duration = Duration::from_secs(10);

/// The workspace's lock. An engine that answers at its socket stays; one that is stopping, or a single run,
/// ends by itself.
fn lock(setup: &Setup) -> Result<Lock, Failure> {
    let until = Instant::now() + RELEASED;
    let mut said = false;
    loop {
        match setup.state.lock(Holder::Resident) {
            Ok(lock) => return Ok(lock),
            Err(error @ StateError::Locked { .. }) => {
                let answers = std::os::unix::net::UnixStream::connect(setup.state.socket()).is_ok();
                if answers || Instant::now() >= until {
                    return Err(Failure::engine(error).with_help(
                        "Another engine serves this workspace: `bsm attach` shows it, `bsm stop` ends it.",
                    ));
                }
                if !said {
                    let seconds = RELEASED.as_secs();
                    note(format!(
                        "bsm: {error}; waiting up to {seconds} s for its end"
                    ));
                    said = true;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(other) => return Err(Failure::engine(other)),
        }
    }
}

/// What was asked for at the start holds when settings are read again.
fn dry(load: SettingsLoader) -> SettingsLoader {
    Arc::new(move |files: Option<&FileSet>, trusted: bool| {
        let mut settings = load(files, trusted)?;
        settings.github.dry_run = true;
        Ok(settings)
    })
}

/// What the face is opened with.
pub(super) fn config(setup: &Setup, args: &ServeArgs) -> Result<ApiConfig, Failure> {
    let settings = setup.loaded.settings.api.clone();
    let listen = if args.no_tcp {
        None
    } else {
        Some(match args.listen {
            Some(at) => at,
            None => address(setup, &settings.listen)?,
        })
    };
    let admin_token = setup.env.get(&settings.admin_token_env).map(str::to_owned);
    if setup.loaded.settings.environment == Environment::Production {
        let good = admin_token
            .as_deref()
            .is_some_and(|t| t.len() >= 16 && t != "change-me");
        if !good && listen.is_some() {
            return Err(Failure::usage(
                format!(
                    "in production {} must hold a token of 16 characters or more",
                    settings.admin_token_env
                ),
                "Set it, for example to the output of `openssl rand -hex 32`, or use --no-tcp.",
            ));
        }
    }
    Ok(ApiConfig {
        listen,
        socket: Some(setup.state.socket()),
        admin_token,
        gateway_tokens: gateway_tokens(setup)?,
        webhook_secrets: webhook_secrets(setup)?,
        keys: keys(setup)?,
        settings,
    })
}

/// Programs that may use the gateway. A name without its token is an error, not a closed door.
fn gateway_tokens(setup: &Setup) -> Result<Vec<(String, String)>, Failure> {
    let mut tokens = Vec::new();
    for NamedToken { name, token_env } in &setup.loaded.settings.api.gateway_tokens {
        let token = setup.env.get(token_env).map_or("", str::trim);
        if token.len() < 16 {
            let (name, variable) = (clean_line(name, 60), clean_line(token_env, 60));
            return Err(Failure::usage(
                format!(
                    "api.gatewayTokens: {name}'s token in {variable} has fewer than 16 characters"
                ),
                "Set it, for example to the output of `openssl rand -hex 32`, or take the entry out.",
            ));
        }
        tokens.push((clean_line(name, 60), token.to_owned()));
    }
    Ok(tokens)
}

/// The webhooks' secrets: the one, and the next one during a rotation.
fn webhook_secrets(setup: &Setup) -> Result<Vec<String>, Failure> {
    let settings = &setup.loaded.settings;
    let github = &settings.github;
    let names = [&github.webhook_secret_env, &github.next_webhook_secret_env];
    let mut secrets = Vec::new();
    for name in names {
        let Some(secret) = setup.env.get(name).map(str::trim).filter(|s| !s.is_empty()) else {
            continue;
        };
        if settings.environment == Environment::Production && secret.len() < 16 {
            return Err(Failure::usage(
                format!("in production {name} must have 16 characters or more"),
                "Set it, for example to the output of `openssl rand -hex 32`, and at GitHub too.",
            ));
        }
        secrets.push(secret.to_owned());
    }
    Ok(secrets)
}

fn address(setup: &Setup, listen: &str) -> Result<SocketAddr, Failure> {
    let wrong = |what: &str, text: &str| {
        let shown = crate::text::clean_line(text, 60);
        Failure::usage(
            format!("{what}: '{shown}' is not a valid listen address"),
            "Write 127.0.0.1:3000.",
        )
    };
    match setup.env.get("PORT") {
        Some(port) => format!("127.0.0.1:{port}")
            .parse()
            .map_err(|_| wrong("PORT", port)),
        None => listen.parse().map_err(|_| wrong("api.listen", listen)),
    }
}

/// Which variables hold a key: never their values.
pub(super) fn keys(setup: &Setup) -> Result<Vec<(String, bool)>, Failure> {
    let workspace = setup.workspace();
    let mut names: Vec<&String> = workspace
        .models
        .providers
        .values()
        .flat_map(|p| &p.key_env)
        .collect();
    names.sort();
    names.dedup();
    let set = |name: &&String| ((*name).clone(), setup.env.get(name).is_some());
    Ok(names.iter().map(set).collect())
}

/// Until a signal asks to stop; SIGHUP reads everything again.
async fn wait(operator: &Arc<dyn Operator>, notify: &Notify) -> Result<(), Failure> {
    let on = |kind| signal(kind).map_err(Failure::engine);
    let (mut terminate, mut hangup) = (on(SignalKind::terminate())?, on(SignalKind::hangup())?);
    let alive = async {
        match notify.every {
            Some(every) => loop {
                tokio::time::sleep(every).await;
                // An engine that answers nothing is not alive, whatever its process does.
                if operator.query(Query::Models).await.is_ok() {
                    notify.say("WATCHDOG=1");
                }
            },
            None => std::future::pending().await,
        }
    };
    tokio::pin!(alive);
    loop {
        tokio::select! {
            () = &mut alive => {}
            _ = terminate.recv() => return Ok(()),
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = hangup.recv() => {
                let envelope = Envelope {
                    command: Command::Reload,
                    actor: "SIGHUP".into(),
                    correlation: None,
                };
                // A broken edit keeps the last good version and is an alert.
                let _ = operator.send(envelope).await;
            }
        }
    }
}
