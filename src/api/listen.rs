//! Taking connections: so many at once, headers and bodies that must keep coming, an orderly end.
//!
//! Why by hand: a client that sends nothing must not hold a place for ever, and the server that comes with
//! the router cannot be told so. HTTP/1.1 alone: which version an idle client means would be waited for
//! without end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::{Layer as _, Service};

use crate::api::places::Places;
use crate::api::rate_limit::network;
use crate::api::request::{Peer, Use};

/// Connections that are taken when all places are: for health and webhooks.
const RESERVED: usize = 16;
/// One of those has this long to ask.
const RESERVED_IDLE: Duration = Duration::from_secs(5);
/// A failed accept (no file left) is tried again after this.
const AGAIN: Duration = Duration::from_millis(50);

/// Where connections come from.
pub(super) enum Listener {
    /// The network.
    Tcp(TcpListener),
    /// The owner's socket.
    Unix(UnixListener),
}

/// Serves until it is stopped, then lets requests under way end. At most so many connections, three quarters of
/// them for one client; one that says nothing for `idle` is closed. When all are taken, a few more are served one
/// request each, about health or a webhook.
pub(super) async fn serve(
    listener: Listener,
    routes: Router,
    (most, idle): (usize, Duration),
    stopping: CancellationToken,
) {
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(idle);
    let mut once = Builder::new();
    once.timer(TokioTimer::new())
        .header_read_timeout(idle.min(RESERVED_IDLE))
        .keep_alive(false);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(most.max(1)));
    let mut warnings = WarningLimit::default();
    let reserved = Arc::new(Semaphore::new(RESERVED));
    let shares = Places::new(most, most - most / 4);
    loop {
        // Who finds no place, not even a reserved one, waits in the system's own queue.
        let place = tokio::select! {
            biased;
            () = stopping.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place.map(|p| (p, Use::Any)),
            place = Arc::clone(&reserved).acquire_owned() => place.map(|p| (p, Use::Reserved)),
        };
        let Ok((mut place, mut usable)) = place else {
            break;
        };
        let accepted = tokio::select! {
            () = stopping.cancelled() => break,
            accepted = accept(&listener) => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if let Some(more) = warnings.due(Instant::now()) {
                    let before = match more {
                        0 => String::new(),
                        more => format!(" ({more} more since the last warning)"),
                    };
                    tracing::warn!("a connection could not be taken: {error}{before}");
                }
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        // The owner's socket is the owner's alone.
        let share = peer.ip().and_then(|ip| shares.take(network(ip)));
        if peer.ip().is_some() && share.is_none() && usable == Use::Any {
            let Ok(other) = Arc::clone(&reserved).try_acquire_owned() else {
                continue; // It is closed: its client has more than its share.
            };
            (place, usable) = (other, Use::Reserved);
        }
        let service = axum::Extension(ConnectInfo(peer)).layer(routes.clone());
        let service = axum::Extension(usable).layer(service);
        let service = TowerToHyperService::new(AnyBody(service));
        let kind = if usable == Use::Any { &builder } else { &once };
        let connection = kind.serve_connection(stream, service);
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            // It broke off, or said nothing any more: there is nobody to tell.
            let _ = watched.await;
            drop((place, share));
        });
    }
    drop(listener);
    let mut over = pin!(graceful.shutdown());
    over.as_mut().await;
}

/// One warning in ten seconds: without a file left, an accept fails twenty times a second.
#[derive(Debug, Default)]
struct WarningLimit {
    last: Option<Instant>,
    left_out: u64,
}

impl WarningLimit {
    const EVERY: Duration = Duration::from_secs(10);

    /// Whether to warn now; how many warnings were left out since the last one.
    fn due(&mut self, now: Instant) -> Option<u64> {
        let soon = |last: Instant| now.saturating_duration_since(last) < Self::EVERY;
        if self.last.is_some_and(soon) {
            self.left_out += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Io = TokioIo<Box<dyn Stream>>;

async fn accept(listener: &Listener) -> std::io::Result<(Io, Peer)> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, at) = listener.accept().await?;
            // Pieces of a stream go out as they come.
            let _ = stream.set_nodelay(true);
            Ok((TokioIo::new(Box::new(stream)), Peer::Tcp(at)))
        }
        Listener::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            let owner = rustix::process::getuid().as_raw();
            let peer = match stream.peer_cred() {
                Ok(peer) if peer.uid() == owner => Peer::Owner,
                _ => Peer::Stranger,
            };
            Ok((TokioIo::new(Box::new(stream)), peer))
        }
    }
}

/// The router takes any body; this names the one that comes from the wire.
#[derive(Clone)]
struct AnyBody<S>(S);

impl<S> Service<hyper::Request<Incoming>> for AnyBody<S>
where
    S: Service<hyper::Request<Incoming>, Error = Infallible>,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: hyper::Request<Incoming>) -> Self::Future {
        self.0.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_one_in_ten_seconds_and_say_how_many_were_left_out() {
        let mut limit = WarningLimit::default();
        let start = Instant::now();
        assert_eq!(limit.due(start), Some(0));
        for ms in (50..10_000).step_by(50) {
            assert_eq!(limit.due(start + Duration::from_millis(ms)), None, "{ms}");
        }
        assert_eq!(limit.due(start + Duration::from_secs(10)), Some(199));
        assert_eq!(limit.due(start + Duration::from_secs(25)), Some(0));
    }
}
