//! Collecting garbage.
//!
//! ```text
//! lock gc.lock ─► serve new roots ─► find roots ─► mark in the graph ─► delete in batches: rows, then contents
//! ```
//!
//! Liveness is decided on a graph of integers. New temporary roots arrive through a socket while we delete: they are
//! looked at before every batch, and who asks for an object of the running batch waits for its end.
//! It can be stopped at any moment: what lost its row but not its contents is garbage for the next collection.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustc_hash::{FxHashMap, FxHashSet};

use super::LocalStore;
use super::db::Graph;
use crate::crash;
use crate::lock::{LockKind, lock, open_lock_file, try_lock};
use crate::nar::read_directory;
use crate::path::{StoreDir, StorePath};
use crate::progress;
use crate::remove::remove_tree_at;
use crate::store::api::{GcAction, GcOptions, GcResults, Roots, Store};
use crate::store::error::StoreError;

type Digest = [u8; 20];

/// Objects whose rows are deleted in one transaction: at first, and when the disk has proved to have room. Rows stand in
/// no order in the indexes, so small transactions write the same pages again and again.
const BATCH: (usize, usize) = (256, 8192);

/// When the disk was looked at last.
#[derive(Default)]
pub(super) struct AutoGc {
    checked: Option<Instant>,
    running: bool,
    available_after: Option<u64>,
}

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

struct RootServer {
    shared: Arc<(Mutex<Shared>, Condvar)>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    socket: PathBuf,
}

impl RootServer {
    fn start(store: &LocalStore) -> Result<Self, StoreError> {
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
        self.shared.0.lock().deleting.clear();
        self.shared.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = fs::remove_file(&self.socket);
    }
}

/// The graph with marks.
pub(super) struct Marking {
    pub(super) graph: Graph,
    pub(super) alive: Vec<bool>,
    /// Further edges, from `keep-outputs` and `keep-derivations`.
    pub(super) extra: FxHashMap<u32, Vec<u32>>,
}

impl Marking {
    fn mark(&mut self, path: &StorePath) {
        let Some(&start) = self.graph.nodes.get(path) else {
            return;
        };
        let mut todo = vec![start];
        while let Some(node) = todo.pop() {
            if std::mem::replace(&mut self.alive[node as usize], true) {
                continue;
            }
            todo.extend_from_slice(self.graph.neighbours(node));
            todo.extend(self.extra.get(&node).into_iter().flatten());
        }
    }

    /// Dead nodes, each before what it refers to.
    fn dead_in_order(&self) -> Vec<u32> {
        let count = self.graph.paths.len();
        let mut visited = vec![false; count];
        let mut order = Vec::new();
        let mut stack: Vec<(u32, usize)> = Vec::new();
        for start in 0..count as u32 {
            if self.alive[start as usize] || visited[start as usize] {
                continue;
            }
            visited[start as usize] = true;
            stack.push((start, 0));
            while let Some((node, at)) = stack.last_mut() {
                let next = self.graph.neighbours(*node).get(*at).copied();
                *at += 1;
                match next {
                    Some(next) if self.alive[next as usize] || visited[next as usize] => {}
                    Some(next) => {
                        visited[next as usize] = true;
                        stack.push((next, 0));
                    }
                    None => {
                        order.push(*node);
                        stack.pop();
                    }
                }
            }
        }
        order.reverse();
        order
    }
}

/// Enough was freed.
struct LimitReached;

impl LocalStore {
    /// Collects garbage.
    pub(super) fn collect(&self, options: &GcOptions) -> Result<GcResults, StoreError> {
        let deletes = matches!(
            options.action,
            GcAction::DeleteDead | GcAction::DeleteSpecific
        );
        let mut results = GcResults::default();
        if options.action == GcAction::DeleteSpecific && options.paths.is_empty() {
            return Ok(results);
        }
        self.register_pending()?;
        if deletes {
            let _ = fs::remove_file(self.config.state_dir.join("db/reserved"));
        }
        let lock_path = self.config.state_dir.join("gc.lock");
        let failed = |e| StoreError::file("locking", &lock_path, e);
        let gc_lock = open_lock_file(&lock_path).map_err(failed)?;
        if !try_lock(&gc_lock, LockKind::Write).map_err(failed)? {
            progress::info("waiting for the big garbage collector lock...");
            lock(&gc_lock, LockKind::Write).map_err(failed)?;
        }
        test_sync("_NIX_TEST_GC_SYNC_1");
        let server = RootServer::start(self)?;

        progress::info("finding garbage collector roots...");
        let roots = if options.ignore_liveness {
            Roots::new()
        } else {
            self.lasting_roots(true)?
        };
        let mut temp_roots = Roots::new();
        self.find_temp_roots(&mut temp_roots, true)?;
        server
            .shared
            .0
            .lock()
            .roots
            .extend(temp_roots.keys().map(|path| *path.digest()));
        test_sync("_NIX_TEST_GC_SYNC_2");

        if options.paths.is_empty() {
            let mut all: Vec<&StorePath> = roots.keys().collect();
            all.extend(temp_roots.keys());
            self.collect_whole(options, &all, &server, &mut results)?;
        } else {
            let mut rooted: FxHashSet<StorePath> = roots.into_keys().collect();
            rooted.extend(temp_roots.into_keys());
            self.collect_specific(options, &rooted, &server, &mut results)?;
        }
        if deletes {
            self.delete_unused_links()?;
        }
        drop(server);
        self.infos.write().clear();
        Ok(results)
    }

    pub(super) fn marking(&self, keep: bool) -> Result<Marking, StoreError> {
        let (graph, edges) = self.with_db(|db| {
            let wanted = keep && (self.config.keep_outputs || self.config.keep_derivations);
            Ok((
                db.graph(false)?,
                if wanted {
                    Some(db.derivation_edges()?)
                } else {
                    None
                },
            ))
        })?;
        let mut extra: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        if let Some((outputs, derivers)) = edges {
            let mut add = |from: &StorePath, to: &StorePath| {
                if let (Some(&from), Some(&to)) = (graph.nodes.get(from), graph.nodes.get(to)) {
                    extra.entry(from).or_default().push(to);
                }
            };
            if self.config.keep_outputs {
                for (drv, output) in &outputs {
                    add(drv, output);
                }
            }
            if self.config.keep_derivations {
                for (output, drv) in &derivers {
                    add(output, drv);
                }
            }
        }
        let alive = vec![false; graph.paths.len()];
        Ok(Marking {
            graph,
            alive,
            extra,
        })
    }

    fn collect_whole(
        &self,
        options: &GcOptions,
        roots: &[&StorePath],
        server: &RootServer,
        results: &mut GcResults,
    ) -> Result<(), StoreError> {
        if options.max_freed == 0 {
            return Ok(());
        }
        progress::info(match options.action {
            GcAction::DeleteDead => "deleting garbage...",
            _ => "determining live/dead paths...",
        });
        let mut marking = self.marking(true)?;
        for root in roots {
            marking.mark(root);
        }
        let entries = read_directory(self.store_fd())
            .map_err(|e| StoreError::file("reading directory", &self.config.real_store_dir, e))?;
        // Names in the store that no row vouches for.
        let mut strays = Vec::new();
        let mut present = vec![false; marking.graph.paths.len()];
        for (name, _) in entries {
            match StorePath::parse(name.as_bytes()) {
                Ok(path) => match marking.graph.nodes.get(&path) {
                    Some(&node) => present[node as usize] = true,
                    None => strays.push((name, Some(path))),
                },
                Err(_) if name.as_bytes() == b".links" => {}
                Err(_) => strays.push((name, None)),
            }
        }
        if options.action == GcAction::ReturnLive {
            for (node, path) in marking.graph.paths.iter().enumerate() {
                if marking.alive[node] && present[node] {
                    results.paths.insert(self.config.dir.print(path));
                }
            }
            let shared = server.shared.0.lock();
            for path in strays.iter().filter_map(|(_, path)| path.as_ref()) {
                if shared.roots.contains(path.digest()) {
                    results.paths.insert(self.config.dir.print(path));
                }
            }
            return Ok(());
        }
        let dead = marking.dead_in_order();
        if options.action == GcAction::ReturnDead {
            results.paths.extend(
                dead.iter()
                    .map(|&n| self.config.dir.print(&marking.graph.paths[n as usize])),
            );
            let shared = server.shared.0.lock();
            for path in strays.iter().filter_map(|(_, path)| path.as_ref()) {
                if !shared.roots.contains(path.digest()) {
                    results.paths.insert(self.config.dir.print(path));
                }
            }
            return Ok(());
        }
        // Strays first: they are certainly garbage, and a full disk is relieved before the database is touched.
        for (name, path) in strays {
            if self
                .delete_stray(&name, path.as_ref(), options, server, results)?
                .is_err()
            {
                return Ok(());
            }
        }
        let large = dead.len() > BATCH.0;
        if large {
            self.db.lock().expect_much_work(true)?;
        }
        let mut rest = dead.as_slice();
        let mut size = BATCH.0;
        let outcome = loop {
            if rest.is_empty() {
                break Ok(());
            }
            let (batch, later) = rest.split_at(size.min(rest.len()));
            let outcome = crate::interrupt::check()
                .map_err(StoreError::from)
                .and_then(|()| self.delete_batch(batch, &mut marking, options, server, results));
            match outcome {
                Ok(Ok(())) => {}
                Ok(Err(LimitReached)) => break Ok(()),
                Err(error) => break Err(error),
            }
            rest = later;
            size = (size * 2).min(BATCH.1);
        };
        if large {
            self.db.lock().expect_much_work(false)?;
        }
        outcome
    }

    fn delete_batch(
        &self,
        batch: &[u32],
        marking: &mut Marking,
        options: &GcOptions,
        server: &RootServer,
        results: &mut GcResults,
    ) -> Result<Result<(), LimitReached>, StoreError> {
        let doomed: Vec<StorePath> = {
            let mut shared = server.shared.0.lock();
            for root in std::mem::take(&mut shared.fresh) {
                marking.mark(&root);
            }
            let doomed: Vec<StorePath> = batch
                .iter()
                .filter(|&&node| !marking.alive[node as usize])
                .map(|&node| marking.graph.paths[node as usize].clone())
                .collect();
            shared.deleting = doomed.iter().map(|path| *path.digest()).collect();
            doomed
        };
        let outcome = self.delete_paths(&doomed, options, results);
        server.shared.0.lock().deleting.clear();
        server.shared.1.notify_all();
        outcome
    }

    /// Deletes rows, then contents. When the limit is reached, the rest keeps its rows.
    fn delete_paths(
        &self,
        doomed: &[StorePath],
        options: &GcOptions,
        results: &mut GcResults,
    ) -> Result<Result<(), LimitReached>, StoreError> {
        // With a limit, one at a time: nothing must lose its row that need not go.
        let step = if options.max_freed == u64::MAX {
            doomed.len().max(1)
        } else {
            1
        };
        let mut parts: VecDeque<&[StorePath]> = doomed.chunks(step).collect();
        while let Some(part) = parts.pop_front() {
            let forgotten = self.db.lock().forget_all(part);
            crash::point("gc:rows-deleted");
            match forgotten {
                Ok(()) => {}
                // A referrer may have appeared since the graph was read, then SQLite refuses all, or the disk has
                // no room for so large a transaction: its halves may do, the first of them frees space for the other.
                Err(error) if part.len() > 1 => {
                    if error.is_full() {
                        self.db.lock().checkpoint()?;
                    }
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.push_front(second);
                    parts.push_front(first);
                    continue;
                }
                Err(_) => match self.db.lock().invalidate(&part[0]) {
                    Ok(()) => {}
                    Err(StoreError::InUse { .. }) => continue,
                    Err(error) => return Err(error),
                },
            }
            for path in part {
                self.forget_cached(path);
                let full = self.config.dir.print(path);
                progress::info(format!("deleting '{}'", String::from_utf8_lossy(&full)));
                let name = CString::new(path.to_string()).map_err(|e| StoreError::Io(e.into()))?;
                results.bytes_freed += remove_tree_at(self.store_fd(), &name)
                    .map_err(|e| StoreError::file("deleting", &self.physical(path), e))?;
                results.paths.insert(full);
                crash::point("gc:deleted");
                if results.bytes_freed > options.max_freed {
                    progress::info(format!(
                        "deleted more than {} bytes; stopping",
                        options.max_freed
                    ));
                    return Ok(Err(LimitReached));
                }
            }
        }
        Ok(Ok(()))
    }

    fn delete_stray(
        &self,
        name: &CString,
        path: Option<&StorePath>,
        options: &GcOptions,
        server: &RootServer,
        results: &mut GcResults,
    ) -> Result<Result<(), LimitReached>, StoreError> {
        use rustix::fs::{Mode, OFlags, openat};
        crate::interrupt::check()?;
        if let Some(path) = path {
            let mut shared = server.shared.0.lock();
            // It may have become valid since the graph was read: its maker holds a temporary root, or held one
            // before registering it.
            if shared.roots.contains(path.digest()) {
                return Ok(Ok(()));
            }
            shared.deleting.insert(*path.digest());
        }
        let outcome = (|| {
            if let Some(path) = path
                && self.is_valid_uncached(path)?
            {
                return Ok(Ok(()));
            }
            let is_temp = name.as_bytes().starts_with(b"tmp-");
            if is_temp || name.as_bytes().ends_with(b".lock") {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
                match openat(self.store_fd(), name, flags, Mode::empty()) {
                    Ok(fd) => {
                        let file = File::from(fd);
                        if !try_lock(&file, LockKind::Write).unwrap_or(false) {
                            return Ok(Ok(()));
                        }
                        // Who waits for this lock must see that it is dead.
                        if !is_temp {
                            let place = self
                                .config
                                .real_store_dir
                                .join(std::ffi::OsStr::from_bytes(name.as_bytes()));
                            if let Ok(mut file) = fs::OpenOptions::new().write(true).open(place) {
                                let _ = file.write_all(b"d");
                            }
                        }
                        return self.delete_stray_now(name, options, results);
                    }
                    Err(_) => return Ok(Ok(())),
                }
            }
            self.delete_stray_now(name, options, results)
        })();
        if let Some(path) = path {
            server.shared.0.lock().deleting.remove(path.digest());
            server.shared.1.notify_all();
        }
        outcome
    }

    fn delete_stray_now(
        &self,
        name: &CString,
        options: &GcOptions,
        results: &mut GcResults,
    ) -> Result<Result<(), LimitReached>, StoreError> {
        let mut full = self.config.dir.as_bytes().to_vec();
        full.push(b'/');
        full.extend_from_slice(name.as_bytes());
        progress::info(format!("deleting '{}'", String::from_utf8_lossy(&full)));
        results.bytes_freed += remove_tree_at(self.store_fd(), name).map_err(|e| {
            let place = self
                .config
                .real_store_dir
                .join(std::ffi::OsStr::from_bytes(name.as_bytes()));
            StoreError::file("deleting", &place, e)
        })?;
        results.paths.insert(full);
        if results.bytes_freed > options.max_freed {
            progress::info(format!(
                "deleted more than {} bytes; stopping",
                options.max_freed
            ));
            return Ok(Err(LimitReached));
        }
        Ok(Ok(()))
    }

    /// Deletes the given paths, or those of them that are dead.
    fn collect_specific(
        &self,
        options: &GcOptions,
        rooted: &FxHashSet<StorePath>,
        server: &RootServer,
        results: &mut GcResults,
    ) -> Result<(), StoreError> {
        let mut dead = BTreeSet::new();
        let mut alive = BTreeSet::new();
        for path in &options.paths {
            // It can go when everything that needs it is to go, too, and nothing of that is a root.
            let mut seen = BTreeSet::from([path.clone()]);
            let mut todo = vec![path.clone()];
            let mut deletable = true;
            while let Some(here) = todo.pop() {
                crate::interrupt::check()?;
                let temp = server.shared.0.lock().roots.contains(here.digest());
                if rooted.contains(&here) || temp || !options.paths.contains(&here) {
                    deletable = false;
                    break;
                }
                if self.is_valid_uncached(&here)? {
                    for referrer in self.query_referrers(&here)? {
                        if seen.insert(referrer.clone()) {
                            todo.push(referrer);
                        }
                    }
                }
            }
            if deletable {
                dead.extend(seen);
            } else if options.action == GcAction::DeleteSpecific {
                return Err(StoreError::Alive(self.shown(path)));
            } else {
                alive.insert(path.clone());
            }
        }
        match options.action {
            GcAction::ReturnLive => {
                results
                    .paths
                    .extend(alive.iter().map(|path| self.config.dir.print(path)));
            }
            GcAction::ReturnDead => {
                results
                    .paths
                    .extend(dead.iter().map(|path| self.config.dir.print(path)));
            }
            GcAction::DeleteDead | GcAction::DeleteSpecific => {
                let order = crate::store::closure::topological_paths(self, &dead)?;
                server.shared.0.lock().deleting = order.iter().map(|path| *path.digest()).collect();
                let outcome = self.delete_paths(&order, options, results);
                server.shared.0.lock().deleting.clear();
                server.shared.1.notify_all();
                let _ = outcome?;
            }
        }
        Ok(())
    }

    /// Deletes files in `.links` that nothing else links to.
    fn delete_unused_links(&self) -> Result<(), StoreError> {
        use rustix::fs::{AtFlags, Mode, OFlags, openat, statat, unlinkat};
        progress::info("deleting unused links...");
        let links = self.config.real_store_dir.join(".links");
        let failed = |e: rustix::io::Errno| StoreError::file("reading directory", &links, e);
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let Ok(fd) = openat(self.store_fd(), c".links", flags, Mode::empty()) else {
            return Ok(());
        };
        let (mut shared, mut single) = (0u64, 0u64);
        for (name, _) in read_directory(fd.as_fd()).map_err(failed)? {
            let Ok(stat) = statat(&fd, &name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            if stat.st_nlink == 1 {
                unlinkat(&fd, &name, AtFlags::empty()).map_err(failed)?;
            } else {
                single += stat.st_size as u64;
                shared += (stat.st_nlink - 1) * stat.st_size as u64;
            }
        }
        let overhead = fs::metadata(&links).map_or(0, |m| m.blocks() * 512);
        let saved = shared as i64 - single as i64 - overhead as i64;
        progress::info(format!(
            "note: hard linking is currently saving {}",
            render_size(saved)
        ));
        Ok(())
    }

    /// Whether [`Self::auto_gc`] would look at the disk now.
    pub(crate) fn auto_gc_is_due(&self) -> bool {
        let clock = self.gc_clock.lock();
        let interval = Duration::from_secs(self.config.min_free_interval);
        self.config.min_free != 0
            && !clock.running
            && clock.checked.is_none_or(|at| at.elapsed() >= interval)
    }

    /// Collects garbage when the disk is nearly full and settings want that.
    pub(crate) fn auto_gc(&self) -> Result<(), StoreError> {
        if self.config.min_free == 0 {
            return Ok(());
        }
        {
            let mut clock = self.gc_clock.lock();
            let interval = Duration::from_secs(self.config.min_free_interval);
            if clock.running || clock.checked.is_some_and(|at| at.elapsed() < interval) {
                return Ok(());
            }
            let available = self.available_space()?;
            clock.checked = Some(Instant::now());
            if available >= self.config.min_free || available >= self.config.max_free {
                return Ok(());
            }
            // The last collection freed no more than this; another one would not either.
            if clock
                .available_after
                .is_some_and(|after| available > after / 100 * 97)
            {
                return Ok(());
            }
            clock.running = true;
        }
        let available = self.available_space()?;
        let mut options = GcOptions::new(GcAction::DeleteDead);
        options.max_freed = self.config.max_free.saturating_sub(available);
        progress::info(format!(
            "running auto-GC to free {} bytes",
            options.max_freed
        ));
        let outcome = self.collect(&options);
        let after = self.available_space().ok();
        let mut clock = self.gc_clock.lock();
        clock.running = false;
        clock.checked = Some(Instant::now());
        clock.available_after = after;
        if let Err(error) = outcome {
            progress::warn(format!("automatic garbage collection failed: {error}"));
        }
        Ok(())
    }

    fn available_space(&self) -> Result<u64, StoreError> {
        if let Some(file) = std::env::var_os("_NIX_TEST_FREE_SPACE_FILE") {
            let text = fs::read_to_string(&file)?;
            return Ok(text.trim().parse().unwrap_or(u64::MAX));
        }
        let stat = rustix::fs::fstatvfs(&self.store_fd).map_err(|e| {
            StoreError::file(
                "getting filesystem info about",
                &self.config.real_store_dir,
                e,
            )
        })?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Waits until a test lets us go on: the variable names a fifo.
fn test_sync(variable: &str) {
    if let Some(file) = std::env::var_os(variable) {
        let _ = fs::read(file);
    }
}

/// A number of bytes for people: `12.3 MiB`.
pub(super) fn render_size(bytes: i64) -> String {
    const UNITS: [&str; 9] = ["K", "M", "G", "T", "P", "E", "Z", "Y", "?"];
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}iB", UNITS[unit])
}
