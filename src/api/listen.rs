//! Taking connections: so many at once, headers and bodies that must keep coming, an orderly end.
//!
//! Why by hand: a client that sends nothing must not hold a place for ever, and the server that comes with
//! the router cannot be told so. HTTP/1.1 alone: which version an idle client means would be waited for
//! without end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

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

use crate::api::request::{Peer, Place};

/// Connections beside the others that may only ask for health: a monitor needs the answer most when the others are
/// all taken.
const RESERVED: usize = 8;
/// A reserved connection that says nothing for this long is closed.
const RESERVED_IDLE: Duration = Duration::from_secs(2);

/// A failed accept (no file left) is tried again after this.
const AGAIN: Duration = Duration::from_millis(50);

/// Where connections come from.
pub(super) enum Listener {
    /// The network.
    Tcp(TcpListener),
    /// The owner's socket.
    Unix(UnixListener),
}

/// Serves until it is stopped, then lets requests under way end. At most so many connections, and a few that may
/// only ask for health; one that says nothing for `idle` is closed.
pub(super) async fn serve(
    listener: Listener,
    routes: Router,
    (most, idle): (usize, Duration),
    stopping: CancellationToken,
) {
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(idle);
    let mut brief = builder.clone();
    brief
        .keep_alive(false)
        .header_read_timeout(idle.min(RESERVED_IDLE));
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(most.max(1)));
    let reserved = Arc::new(Semaphore::new(RESERVED));
    loop {
        // Who finds no place waits in the system's own queue.
        let place = tokio::select! {
            biased;
            () = stopping.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place.map(|p| (p, Place::Open)),
            place = Arc::clone(&reserved).acquire_owned() => place.map(|p| (p, Place::Reserved)),
        };
        let Ok((place, kind)) = place else { break };
        let accepted = tokio::select! {
            () = stopping.cancelled() => break,
            accepted = accept(&listener) => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("a connection could not be taken: {error}");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        let known = (axum::Extension(ConnectInfo(peer)), axum::Extension(kind));
        let service = TowerToHyperService::new(AnyBody(known.layer(routes.clone())));
        let builder = match kind {
            Place::Open => &builder,
            Place::Reserved => &brief,
        };
        let connection = builder.serve_connection(stream, service);
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            // It broke off, or said nothing any more: there is nobody to tell.
            let _ = watched.await;
            drop(place);
        });
    }
    drop(listener);
    let mut over = pin!(graceful.shutdown());
    over.as_mut().await;
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
