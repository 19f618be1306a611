//! Programs at a terminal of their own, with somebody who types.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::{Place, processes};

/// A session at a terminal of its own, and all that has been written to it.
pub struct Session {
    keys: File,
    screen: Arc<Mutex<String>>,
    child: Child,
    reader: JoinHandle<()>,
}

impl Session {
    /// Starts `rx repl`, and waits for its prompt; nothing when the machine has no terminals to give.
    pub fn start(place: &Place) -> Option<Session> {
        let session = Session::of(place, &["repl"])?;
        session.wait_for("nix-repl> ");
        Some(session)
    }

    /// Starts rx with arguments; nothing when the machine has no terminals to give.
    pub fn of(place: &Place, args: &[&str]) -> Option<Session> {
        Session::of_program(place, "rx", args)
    }

    /// Starts rx under one of its names.
    pub fn of_program(place: &Place, program: &str, args: &[&str]) -> Option<Session> {
        let Ok(master) = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        else {
            eprintln!("skipped: no pseudo terminal can be had");
            return None;
        };
        grantpt(&master).ok()?;
        unlockpt(&master).ok()?;
        let name = ptsname(&master, Vec::new()).ok()?;
        let size = rustix::termios::Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&master, size).ok()?;
        let slave = || {
            let file = File::options()
                .read(true)
                .write(true)
                .open(name.to_str().ok()?);
            file.ok().map(OwnedFd::from)
        };
        // With a controlling terminal Ctrl-C is a signal.
        let rx = place.command(program);
        let mut command = Command::new("setsid");
        command
            .args(["--ctty", "--wait"])
            .arg(rx.get_program())
            .args(args);
        for (name, value) in rx.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .current_dir(place.work())
            .stdin(slave()?)
            .stdout(slave()?)
            .stderr(slave()?);
        let Ok(child) = command.spawn() else {
            eprintln!("skipped: there is no setsid");
            return None;
        };
        let keys = File::from(master);
        let mut output = keys.try_clone().ok()?;
        let screen = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&screen);
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut piece) {
                let text = String::from_utf8_lossy(&piece[..count]).into_owned();
                written.lock().unwrap().push_str(&text);
            }
        });
        Some(Session {
            keys,
            screen,
            child,
            reader,
        })
    }

    /// Types keys, and forgets what was on the screen.
    pub fn type_keys(&mut self, keys: &str) {
        self.screen.lock().unwrap().clear();
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for a text on the screen.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(120) {
            if self.screen.lock().unwrap().contains(text) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!(
            "'{text}' does not come; the terminal shows:\n{}",
            self.screen.lock().unwrap()
        );
    }

    /// Types keys, and waits for what they bring up. The prompt is drawn at every key, so that it tells nothing.
    #[track_caller]
    pub fn ask(&mut self, keys: &str, answer: &str) {
        self.type_keys(keys);
        self.wait_for(answer);
    }

    /// Types keys until they bring something up: what is typed right behind Ctrl-C may be thrown away with it.
    #[track_caller]
    pub fn insist(&mut self, keys: &str, answer: &str) {
        for _ in 0..30 {
            self.type_keys(keys);
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(2) {
                if self.shown().contains(answer) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        panic!(
            "'{answer}' does not come; the terminal shows:\n{}",
            self.shown()
        );
    }

    /// What is on the screen.
    pub fn shown(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    /// The process that runs at the terminal.
    pub fn process(&self) -> rustix::process::Pid {
        // `setsid --wait` is in between, unless it was the leader of no group.
        let own = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
        let child = children
            .ok()
            .and_then(|text| text.split_whitespace().next()?.parse().ok());
        rustix::process::Pid::from_raw(child.unwrap_or(own as i32)).unwrap()
    }

    /// Waits until it has ended, and gives the exit code.
    #[track_caller]
    pub fn ended(mut self) -> Option<i32> {
        self.status().code()
    }

    #[track_caller]
    fn status(&mut self) -> ExitStatus {
        processes::end_of(&mut self.child)
            .unwrap_or_else(|| panic!("it does not end; the terminal shows:\n{}", self.shown()))
    }

    /// Waits until it has ended, and gives the exit code and all that is on the screen then.
    #[track_caller]
    pub fn last_words(mut self) -> (Option<i32>, String) {
        let code = self.status().code();
        // They are on their way; who is still alive keeps the terminal open.
        let start = Instant::now();
        while !self.reader.is_finished() && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(10));
        }
        (code, self.shown())
    }

    /// Ends a session.
    #[track_caller]
    pub fn end(mut self) {
        self.keys.write_all(b":q\r").unwrap();
        assert!(self.status().success());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A test that fails leaves nobody behind.
        if let Ok(None) = self.child.try_wait() {
            processes::kill(self.process().as_raw_pid());
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
