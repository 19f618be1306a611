//! Builders that try to get out. Each runs as the caller: root with and without privileges to give
//! up, or an ordinary user.

use super::*;
use std::collections::BTreeMap;

/// A sandbox with the host's shell and programs (read-only), run to its end.
struct Trial {
    directory: tempfile::TempDir,
    spec: SandboxSpec,
}

impl Trial {
    fn new(script: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["root", "build", "store", "tmp"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let path = |name: &str| directory.path().join(name);
        let mut binds = vec![
            BindMount::writable(path("store"), "/nix/store"),
            BindMount::writable(path("build"), "/build"),
            BindMount::writable(path("tmp"), "/tmp"),
        ];
        for name in ["/usr", "/bin", "/lib", "/lib64"] {
            binds.push(BindMount {
                optional: true,
                ..BindMount::read_only(name, name)
            });
        }
        for name in ["null", "zero", "full", "random", "urandom", "tty"] {
            let device = Path::new("/dev").join(name);
            binds.push(BindMount::host(&device, &device));
        }
        let spec = SandboxSpec {
            program: b"/bin/sh".to_vec(),
            arguments: [&b"sh"[..], b"-c", script.as_bytes()]
                .map(<[u8]>::to_vec)
                .to_vec(),
            environment: BTreeMap::from([("PATH", "/usr/bin:/bin")])
                .into_iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
            directory: "/build".into(),
            isolation: Some(Isolation {
                root: path("root"),
                network: Network::Private,
                user_namespace: true,
                files: vec![(
                    "/etc/passwd".into(),
                    b"nixbld:x:1000:100::/build:\n".to_vec(),
                )],
                binds,
                own_devices: true,
                shared_memory_size: "16m".to_owned(),
                system_information: false,
                writable_etc: false,
            }),
            user: Some(SandboxUser {
                inside_uid: 1000,
                inside_gid: 100,
                outside_uid: rustix::process::getuid().as_raw(),
                outside_gid: rustix::process::getgid().as_raw(),
                count: 1,
                groups: Vec::new(),
                may_keep_groups: true,
            }),
            personality: None,
            allow_new_privileges: false,
            filter_system_calls: true,
            control_group: None,
        };
        Self { directory, spec }
    }

    fn run(&self) -> (ExitStatus, String) {
        let mut builder = spawn(&self.spec).unwrap();
        let mut log = Vec::new();
        let mut buffer = [0u8; 4096];
        loop {
            let longest = rustix::event::Timespec {
                tv_sec: 120,
                tv_nsec: 0,
            };
            let output = builder.output();
            let mut fds = [rustix::event::PollFd::new(
                &output,
                rustix::event::PollFlags::IN,
            )];
            let ready = rustix::event::poll(&mut fds, Some(&longest));
            assert_ne!(ready, Ok(0), "it hangs after {}", log.escape_ascii());
            match rustix::io::read(builder.output(), &mut buffer) {
                Ok(count @ 1..) => log.extend_from_slice(&buffer[..count]),
                _ => break,
            }
        }
        (builder.wait(), String::from_utf8_lossy(&log).into_owned())
    }
}

/// Skips where the system gives no namespaces (containers within containers).
fn trial(script: &str) -> Option<(ExitStatus, String)> {
    if !namespaces_supported().user {
        return None;
    }
    Some(Trial::new(script).run())
}

macro_rules! expect {
    ($script:expr, $status:pat, $log:expr) => {
        if let Some((status, log)) = trial($script) {
            assert!(matches!(status, $status), "{status:?}: {log}");
            assert_eq!(log, $log);
        }
    };
}

#[test]
fn a_builder_runs_as_process_one_of_its_own_world() {
    expect!(
        "echo $$; id -u; id -g; hostname; cat /etc/passwd; ls /proc | grep -c '^[0-9]'; pwd",
        ExitStatus::Code(0),
        "1\n1000\n100\nlocalhost\nnixbld:x:1000:100::/build:\n3\n/build\n"
    );
}

#[test]
fn a_builder_has_three_descriptors() {
    expect!(
        "exec ls -1 /proc/self/fd",
        ExitStatus::Code(0),
        "0\n1\n2\n3\n"
    );
}

#[test]
fn the_hosts_files_are_not_there() {
    expect!(
        "for f in /etc/shadow /root /home /var /sys /run; do test -e $f && echo $f; done; true",
        ExitStatus::Code(0),
        ""
    );
}

#[test]
fn inputs_cannot_be_changed_even_by_their_owner() {
    if let Some((status, log)) = trial("chmod 777 /usr; touch /usr/x; echo done") {
        assert!(status.success());
        assert_eq!(log.matches("Read-only file system").count(), 2, "{log}");
    }
}

#[test]
fn etc_cannot_be_written() {
    if let Some((_, log)) = trial("echo > /etc/test") {
        assert!(log.contains("Permission denied"), "{log}");
    }
}

#[test]
fn set_id_bits_cannot_be_set() {
    if let Some((_, log)) = trial("touch x; chmod u+s x; chmod g+s x; stat -c %a x") {
        assert_eq!(log.matches("Operation not permitted").count(), 2, "{log}");
        assert!(log.ends_with("644\n"), "{log}");
    }
}

#[test]
fn a_daemon_dies_with_its_builder() {
    if !namespaces_supported().user {
        return;
    }
    let trial =
        Trial::new("(setsid sh -c 'sleep 1; touch /nix/store/late' >/dev/null 2>&1 &); exit 0");
    let (status, _) = trial.run();
    assert!(status.success());
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(!trial.directory.path().join("store/late").exists());
}

#[test]
fn killing_a_builder_kills_all_it_started() {
    if !namespaces_supported().user {
        return;
    }
    let trial = Trial::new("trap '' TERM INT; for i in 1 2 3; do sleep 1000 & done; wait");
    let mut builder = spawn(&trial.spec).unwrap();
    builder.kill();
    assert_eq!(builder.wait(), ExitStatus::Signal(libc::SIGKILL));
}

#[test]
fn the_network_is_only_loopback() {
    expect!(
        "cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '",
        ExitStatus::Code(0),
        "lo\n"
    );
}

#[test]
fn a_program_that_does_not_exist_is_an_error_that_names_it() {
    if !namespaces_supported().user {
        return;
    }
    let mut trial = Trial::new("");
    trial.spec.program = b"/no/such".to_vec();
    let error = spawn(&trial.spec).unwrap_err();
    assert_eq!(
        error.to_string(),
        "executing '/no/such': No such file or directory"
    );
}

#[test]
fn a_place_inside_cannot_lead_outside() {
    let mut trial = Trial::new("");
    for (target, message) in [
        ("/../x", "escapes the chroot"),
        ("/a/../../x", "escapes the chroot"),
        ("/a/..", "invalid filename"),
        ("/.", "invalid filename"),
    ] {
        if let Some(isolation) = &mut trial.spec.isolation {
            isolation.binds = vec![BindMount::host("/usr", target)];
        }
        let error = spawn(&trial.spec).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn without_isolation_the_host_is_visible_and_bits_still_refused() {
    let mut trial = Trial::new("touch $0x; chmod u+s x; id -u");
    trial.spec.isolation = None;
    trial.spec.user = None;
    trial.spec.directory = trial.directory.path().join("build");
    let (_, log) = trial.run();
    assert!(log.contains(&format!("{}\n", rustix::process::getuid().as_raw())));
}

#[test]
fn sockets_of_the_host_without_a_file_cannot_be_reached() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    if !Path::new("/usr/bin/perl").exists() {
        return;
    }
    let name = format!("builders-must-not-see-this-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let script = format!(
        "exec perl -MSocket -e 'socket(S,AF_UNIX,SOCK_STREAM,0); \
         print connect(S, sockaddr_un(\"\\0{name}\")) ? \"connected\" : \"refused\"'"
    );
    if let Some((_, log)) = trial(&script) {
        assert_eq!(log, "refused");
    }
}

#[test]
fn the_hosts_processes_cannot_be_seen_or_signalled() {
    let script = format!(
        "kill -0 {0} 2>&1 && echo reached; test -e /proc/{0} && echo seen; true",
        std::process::id()
    );
    if let Some((status, log)) = trial(&script) {
        assert!(status.success());
        assert!(!log.contains("reached") && !log.contains("seen"), "{log}");
    }
}

#[test]
fn files_cannot_be_created_with_set_id_bits_either() {
    if !Path::new("/usr/bin/perl").exists() {
        return;
    }
    let script = "exec perl -MFcntl -e 'print sysopen(F, \"x\", O_CREAT|O_WRONLY, 04755) ? \"made\" : \"refused\"'";
    if let Some((_, log)) = trial(script) {
        assert_eq!(log, "refused");
    }
}

#[test]
fn an_outer_namespace_cannot_be_entered_by_making_an_inner_one() {
    let script = "unshare -Urm sh -c 'mount -o remount,rw /usr; touch /usr/x' 2>&1; test -e /usr/x && echo written; true";
    if let Some((_, log)) = trial(script) {
        assert!(!log.contains("written"), "{log}");
    }
}
