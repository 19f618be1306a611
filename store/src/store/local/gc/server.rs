//! While a collection runs, others tell it here what they are about to use.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rustc_hash::FxHashSet;

use super::super::LocalStore;
use super::marking::Marking;
use crate::path::{StoreDir, StorePath};
use crate::progress;
use crate::store::error::StoreError;

type Digest = [u8; 20];

/// What the collector shares with the threads that serve new roots.
#[derive(Default)]
struct Shared {
    /// Digests of temporary roots: names like `<path>.lock` belong to them, too.
    roots: FxHashSet<Digest>,
    /// Roots that the collector has not looked at yet.
    fresh: Vec<StorePath>,
    /// Digests of objects that are being deleted.
    deleting: FxHashSet<Digest>,
}

/// Listens at the socket of the state directory until it is dropped.
pub(super) struct RootServer {
    shared: Arc<(Mutex<Shared>, Condvar)>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    socket: PathBuf,
}

impl RootServer {
    pub(super) fn start(store: &LocalStore) -> Result<Self, StoreError> {
        let socket = store.config.state_dir.join("gc-socket/socket");
        let failed = |e| StoreError::file("listening on", &socket, e);
        if let Some(parent) = socket.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        match fs::remove_file(&socket) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        let listener = bind(&socket).map_err(failed)?;
        // Whoever may use the store may tell about roots.
        let _ = fs::set_permissions(&socket, fs::Permissions::from_mode(0o666));
        listener.set_nonblocking(true).map_err(failed)?;
        let shared: Arc<(Mutex<Shared>, Condvar)> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (shared, stop) = (Arc::clone(&shared), Arc::clone(&stop));
            let dir = store.config.dir.clone();
            std::thread::Builder::new()
                .name("gc-roots".into())
                .spawn(move || serve(&listener, &shared, &stop, &dir))
                .map_err(failed)?
        };
        Ok(RootServer {
            shared,
            stop,
            thread: Some(thread),
            socket,
        })
    }

    /// Takes roots that are known before anybody asks.
    pub(super) fn note_roots<'a>(&self, paths: impl Iterator<Item = &'a StorePath>) {
        let mut shared = self.shared.0.lock();
        shared.roots.extend(paths.map(|path| *path.digest()));
    }

    /// Whether the path, or one whose files are named after it, is a temporary root by now.
    pub(super) fn is_root(&self, path: &StorePath) -> bool {
        self.shared.0.lock().roots.contains(path.digest())
    }

    /// Of these objects those that are still dead when the roots that came meanwhile are marked. Whoever asks for one
    /// of them from now on waits for [`Self::end_deleting`].
    pub(super) fn doom(&self, marking: &mut Marking, nodes: &[u32]) -> Vec<StorePath> {
        let mut shared = self.shared.0.lock();
        for root in std::mem::take(&mut shared.fresh) {
            marking.mark(&root);
        }
        let dead = nodes
            .iter()
            .map(|&node| node as usize)
            .filter(|&node| !marking.alive[node]);
        let doomed: Vec<StorePath> = dead.map(|node| marking.graph.paths[node].clone()).collect();
        let digests = doomed.iter().map(|path| *path.digest());
        shared.deleting.extend(digests);
        doomed
    }

    /// Lets those wait who ask for one of these.
    pub(super) fn begin_deleting(&self, paths: &[StorePath]) {
        let digests = paths.iter().map(|path| *path.digest());
        self.shared.0.lock().deleting.extend(digests);
    }

    /// The same for one object, unless it is a root.
    pub(super) fn begin_deleting_unless_root(&self, path: &StorePath) -> bool {
        let mut shared = self.shared.0.lock();
        let is_root = shared.roots.contains(path.digest());
        if !is_root {
            shared.deleting.insert(*path.digest());
        }
        !is_root
    }

    /// Lets go on who waits, but for those who want one of `unfinished`.
    pub(super) fn end_deleting(&self, unfinished: &[StorePath]) {
        let digests = unfinished.iter().map(|path| *path.digest());
        self.shared.0.lock().deleting = digests.collect();
        self.shared.1.notify_all();
    }
}

/// Binds a socket whose path may be longer than addresses allow, by way of its directory.
fn bind(socket: &std::path::Path) -> std::io::Result<UnixListener> {
    use std::os::fd::AsRawFd;
    if socket.as_os_str().len() < 100 {
        return UnixListener::bind(socket);
    }
    let parent = File::open(socket.parent().unwrap_or(socket))?;
    let name = socket.file_name().unwrap_or_default();
    UnixListener::bind(PathBuf::from(format!("/proc/self/fd/{}", parent.as_raw_fd())).join(name))
}

fn serve(
    listener: &UnixListener,
    shared: &Arc<(Mutex<Shared>, Condvar)>,
    stop: &Arc<AtomicBool>,
    dir: &StoreDir,
) {
    while !stop.load(Ordering::SeqCst) {
        let mut fds = [rustix::event::PollFd::new(
            listener,
            rustix::event::PollFlags::IN,
        )];
        let timeout = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 20_000_000,
        };
        if !matches!(rustix::event::poll(&mut fds, Some(&timeout)), Ok(n) if n > 0) {
            continue;
        }
        let Ok((client, _)) = listener.accept() else {
            continue;
        };
        let (shared, stop, dir) = (Arc::clone(shared), Arc::clone(stop), dir.clone());
        // A client that cannot be served is closed and tries again.
        let _ = std::thread::Builder::new()
            .name("gc-root-client".into())
            .spawn(move || serve_client(client, &shared, &stop, &dir));
    }
}

fn serve_client(
    client: UnixStream,
    shared: &(Mutex<Shared>, Condvar),
    stop: &AtomicBool,
    dir: &StoreDir,
) {
    let _ = client.set_nonblocking(false);
    let _ = client.set_read_timeout(Some(Duration::from_millis(100)));
    let Ok(mut answers) = client.try_clone() else {
        return;
    };
    let mut lines = BufReader::new(client);
    let mut line = Vec::new();
    loop {
        // A path is short; whoever sends more without a line feed is not one of ours.
        match lines.by_ref().take(8192).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) => {}
            Err(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::WouldBlock
                        | std::io::ErrorKind::TimedOut
                        | std::io::ErrorKind::Interrupted
                ) =>
            {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                continue;
            }
            Err(_) => return,
        }
        let Some(text) = line.strip_suffix(b"\n") else {
            return;
        };
        if let Ok(path) = dir.parse(text) {
            let (state, changed) = shared;
            let mut state = state.lock();
            let digest = *path.digest();
            if state.roots.insert(digest) {
                state.fresh.push(path);
            }
            // It must be gone entirely before its new owner makes it again.
            while state.deleting.contains(&digest) {
                changed.wait(&mut state);
            }
        } else {
            progress::debug("received garbage instead of a root from client");
        }
        line.clear();
        if answers.write_all(b"1").is_err() {
            return;
        }
    }
}

impl Drop for RootServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.end_deleting(&[]);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = fs::remove_file(&self.socket);
    }
}
