//! `<rx>`, the package library that is part of the program: its functions, its packages, what it says when something is missing.

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{Outcome, Place};

fn place() -> Place {
    let place = Place::new();
    place.configure("substituters =\nbuild-users-group =\nhost-tools = true\n");
    place
}

/// Whether this machine has programs; says which are missing if not.
fn has(tools: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing: Vec<_> = tools
        .iter()
        .filter(|tool| !std::env::split_paths(&path).any(|dir| dir.join(tool).exists()))
        .collect();
    if !missing.is_empty() {
        eprintln!("skipped: this machine has no {missing:?}");
    }
    missing.is_empty()
}

fn build(place: &Place, args: &[&str]) -> Outcome {
    let mut all = vec!["--no-out-link"];
    all.extend(args);
    place.run("rx-build", all)
}

/// Builds and gives the real path of the result.
#[track_caller]
fn built(place: &Place, args: &[&str]) -> PathBuf {
    let run = build(place, args);
    assert_eq!(run.code, 0, "{}", run.err);
    let root = place.root().display().to_string();
    PathBuf::from(run.out.trim().replace("DIR", &root))
}

/// What a program says.
#[track_caller]
fn said(program: PathBuf, args: &[&str], input: &str) -> String {
    let mut child = Command::new(&program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", program.display());
    String::from_utf8(output.stdout).unwrap()
}

/// The value of an expression, with `pkgs` for the library.
#[track_caller]
fn value(expression: &str) -> String {
    let text = format!("let pkgs = import <rx> {{ }}; inherit (pkgs) lib; in {expression}");
    let run = place().run("rx-instantiate", ["--eval", "--strict", "-E", &text]);
    run.success().trim().to_owned()
}

#[test]
fn every_package_of_the_library_builds_and_its_program_works() {
    if !has(&["cc", "make", "ar"]) {
        return;
    }
    let place = place();
    let tools = built(&place, &["<rx>", "-A", "tools"]);
    for (program, args, input, output) in [
        ("hello", &["Ada"][..], "", "Hello, Ada.\n"),
        ("greet", &["fr", "Ada"], "", "Bonjour, Ada.\n"),
        ("calc", &["(1 + 2) * 3 ^ 2"], "", "27\n"),
        ("jsonfmt", &[], "[1,2]", "[\n  1,\n  2\n]\n"),
        (
            "wordfreq",
            &[],
            "to be or not to be",
            "2 be\n2 to\n1 not\n1 or\n",
        ),
        ("banner", &["hi"], "", "******\n* hi *\n******\n"),
        ("slugify", &["Hello, World!"], "", "hello-world\n"),
        ("slugify", &["-b", "Hi"], "", "******\n* hi *\n******\n"),
    ] {
        assert_eq!(said(tools.join("bin").join(program), args, input), output);
    }
    let bytes = said(tools.join("bin/hexview"), &[], "rx");
    assert!(bytes.starts_with("00000000  72 78 "), "{bytes}");
    let tree = said(tools.join("bin/showtree"), &[tools.to_str().unwrap()], "");
    assert!(tree.contains("bin\n  banner\n"), "{tree}");

    let handbook = built(&place, &["<rx>", "-A", "handbook"]);
    let list = std::fs::read_to_string(handbook.join("share/doc/packages.txt")).unwrap();
    assert!(list.contains("calc 1.1: Says what"), "{list}");
    let library = built(&place, &["<rx>", "-A", "libgreet"]);
    assert!(library.join("lib/pkgconfig/greet.pc").exists());
}

#[test]
fn packages_with_sources_elsewhere_are_evaluated_without_the_network() {
    for name in ["gnu-hello", "lua"] {
        let run = place().run("rx-instantiate", ["<rx>", "-A", name]);
        assert!(run.success().trim().ends_with(".drv"));
    }
}

#[test]
fn sources_come_over_http_and_are_unpacked_patched_built_and_installed() {
    if !has(&["cc", "tar", "gzip", "patch"]) {
        return;
    }
    let place = place();
    place.write(
        "up/thing-1.0/main.c",
        "#include <stdio.h>\nint main(void) { puts(\"one\"); return 0; }\n",
    );
    place.write(
        "up/thing-1.0/configure",
        "#!/bin/sh\necho \"$1\" | sed s/--prefix=/PREFIX=/ > config.mk\n",
    );
    place.write(
        "up/thing-1.0/Makefile",
        "include config.mk\nthing: main.c\n\tcc -o thing main.c\ncheck: thing\n\ttest \"$$(./thing)\" = two\n\
         install: thing\n\tmkdir -p $(PREFIX)/bin\n\tcp thing $(PREFIX)/bin\n",
    );
    place.write(
        "two.patch",
        "--- a/main.c\n+++ b/main.c\n@@ -1,2 +1,2 @@\n #include <stdio.h>\n-int main(void) { puts(\"one\"); return 0; }\n\
         +int main(void) { puts(\"two\"); return 0; }\n",
    );
    let packed = Command::new("tar")
        .args(["-czf", "thing-1.0.tar.gz", "-C", "up", "thing-1.0"])
        .current_dir(place.work())
        .status()
        .unwrap();
    assert!(packed.success());
    let archive = std::fs::read(place.work().join("thing-1.0.tar.gz")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = [0; 4096];
            let _ = connection.read(&mut request);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                archive.len()
            );
            let _ = connection.write_all(head.as_bytes());
            let _ = connection.write_all(&archive);
        }
    });
    let file = place.work().join("thing-1.0.tar.gz");
    let hash = place
        .run(
            "rx",
            ["hash", "path", "--mode", "flat", file.to_str().unwrap()],
        )
        .success();
    place.write(
        "default.nix",
        &format!(
            "with import <rx> {{ }}; mkDerivation {{
               pname = \"thing\"; version = \"1.0\";
               src = fetchurl {{ url = \"http://{address}/thing-1.0.tar.gz\"; hash = \"{}\"; }};
               patches = [ ./two.patch ];
               hostTools = [ \"cc\" \"gzip\" \"make\" \"patch\" ];
               doCheck = true;
               preBuild = \"echo from the hook\";
             }}",
            hash.trim()
        ),
    );
    let run = build(&place, &[]);
    assert_eq!(run.code, 0, "{}", run.err);
    for phase in ["unpackPhase", "patchPhase", "configurePhase", "checkPhase"] {
        assert!(
            run.err.contains(&format!("running phase: {phase}")),
            "{}",
            run.err
        );
    }
    assert!(run.err.contains("from the hook"), "{}", run.err);
    let root = place.root().display().to_string();
    let out = PathBuf::from(run.out.trim().replace("DIR", &root));
    assert_eq!(said(out.join("bin/thing"), &[], ""), "two\n");
}

/// A server that answers `/good` with a file, `/other` with another, and nothing else.
fn mirrors() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = [0; 4096];
            let length = connection.read(&mut request).unwrap_or(0);
            let answer = match &request[..length] {
                request if request.starts_with(b"GET /good ") => {
                    "200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nright"
                }
                request if request.starts_with(b"GET /other ") => {
                    "200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwrong"
                }
                _ => "404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            };
            let _ = write!(connection, "HTTP/1.1 {answer}");
        }
    });
    address
}

#[test]
fn a_source_comes_from_the_first_address_that_has_it() {
    let place = place();
    let at = mirrors();
    let fetch = |urls: &[&str], more: &str| {
        let urls: String = urls
            .iter()
            .map(|path| format!("\"http://{at}/{path}\" "))
            .collect();
        let text = format!(
            "(import <rx> {{ }}).fetchurl {{ urls = [ {urls}]; name = \"file\"; \
             sha256 = builtins.hashString \"sha256\" \"right\"; {more} }}"
        );
        build(&place, &["--option", "download-attempts", "1", "-E", &text])
    };
    let run = fetch(&["gone", "other", "good", "never-asked"], "");
    let root = place.root().display().to_string();
    assert_eq!(run.code, 0, "{}", run.err);
    let path = run.out.trim().replace("DIR", &root);
    assert_eq!(std::fs::read_to_string(path).unwrap(), "right");
    let gone = format!("trying 'http://{at}/other'");
    assert!(
        run.err.contains("HTTP error 404") && run.err.contains(&gone),
        "{}",
        run.err
    );
    let other = format!("'http://{at}/other' gives a file with the hash 'sha256-");
    assert!(run.err.contains(&other), "{}", run.err);

    // The last one is told about as if it were the only one.
    let run = fetch(&["gone", "other"], "executable = true;");
    let mismatch = "hash mismatch in fixed-output derivation";
    assert!(run.code != 0 && run.err.contains(mismatch), "{}", run.err);
    let run = fetch(&["gone", "lost"], "executable = true;");
    let none = "none of 2 addresses gives the file:";
    assert!(run.code != 0 && run.err.contains(none), "{}", run.err);
}

#[test]
fn a_package_that_needs_the_machines_tools_says_how_to_allow_it() {
    let place = Place::new();
    place.configure("substituters =\nbuild-users-group =\n");
    let run = build(&place, &["<rx>", "-A", "hello"]);
    assert_ne!(run.code, 0);
    assert!(run.err.contains("missing system features"), "{}", run.err);
    assert!(run.err.contains("'--host-tools'"), "{}", run.err);
    let run = build(
        &place,
        &["<rx>", "-A", "hello", "--host-tools", "--dry-run"],
    );
    assert_eq!(run.code, 0, "{}", run.err);
}

#[test]
fn a_tool_that_the_machine_lacks_is_named_before_anything_is_built() {
    let place = place();
    let text = "with import <rx> { }; runCommand \"x\" { hostTools = [ \"no-such-tool\" ]; } \"echo started\"";
    let run = build(&place, &["-E", text]);
    assert_ne!(run.code, 0);
    assert!(
        run.err.contains("not to be found: no-such-tool"),
        "{}",
        run.err
    );
    assert!(!run.err.contains("> started"), "{}", run.err);
}

#[test]
fn a_package_without_host_tools_sees_only_a_shell_and_builds_anywhere() {
    let place = Place::new();
    place.configure("substituters =\nbuild-users-group =\n");
    let text = "with import <rx> { }; mkDerivation {
        name = \"pure\"; hostTools = null; phases = \"buildPhase\";
        buildPhase = ''echo \"tools: $PATH\" > $out'';
      }";
    let out = built(&place, &["-E", text]);
    assert_eq!(std::fs::read_to_string(out).unwrap(), "tools: \n");
    let text = "with import <rx> { }; writeText \"t\" \"see ${writeText \"u\" \"${mkDerivation {
        name = \"v\"; hostTools = null; phases = \"buildPhase\"; buildPhase = \"echo > $out\"; }}\"}\n no end\"";
    let out = built(&place, &["-E", text]);
    let text = std::fs::read_to_string(out).unwrap();
    assert!(
        text.starts_with("see ") && text.ends_with("-u\n no end"),
        "{text}"
    );
}

#[test]
fn an_install_phase_that_installs_nothing_is_told_what_is_wrong() {
    let place = place();
    let text = "with import <rx> { }; mkDerivation { name = \"x\"; dontUnpack = true; }";
    let run = build(&place, &["-E", text]);
    assert!(
        run.err.contains("installed nothing to its output 'out'"),
        "{}",
        run.err
    );
    let text = "with import <rx> { }; mkDerivation { name = \"x\"; }";
    let run = build(&place, &["-E", text]);
    assert!(run.err.contains("'x' has no 'src'"), "{}", run.err);
}

#[test]
fn the_library_is_found_in_pure_evaluation_and_behind_the_search_path() {
    let place = place();
    let pure = "(import <rx> { system = \"x86_64-linux\"; }).hello.drvPath";
    let run = place.run("rx-instantiate", ["--eval", "--pure-eval", "-E", pure]);
    assert!(run.success().contains("-hello-1.0.drv"));
    let run = place.run(
        "rx-instantiate",
        [
            "--eval",
            "--pure-eval",
            "-E",
            "(import <rx> { }).hello.drvPath",
        ],
    );
    assert!(run.failure().contains("import <rx> { system = "));
    place.write("rx/default.nix", "\"mine\"");
    let run = place.run("rx-instantiate", ["-I", ".", "--eval", "-E", "import <rx>"]);
    assert_eq!(run.success(), "\"mine\"\n");
    let run = place.run(
        "rx-instantiate",
        ["--eval", "--strict", "-E", "(import <rx/lib>).range 1 3"],
    );
    assert_eq!(run.success(), "[ 1 2 3 ]\n");
    let run = place.run("rx-instantiate", ["--eval", "-E", "import <rx/none>"]);
    assert!(run.failure().contains("file 'rx/none' was not found"));
    let run = place.run(
        "rx-instantiate",
        ["--eval", "--read-write-mode", "-E", "\"${<rx/lib>}\""],
    );
    let copied = run
        .success()
        .trim()
        .trim_matches('"')
        .replace("DIR", &place.root().display().to_string());
    assert!(PathBuf::from(copied).join("lists.nix").exists());
}

#[test]
fn packages_are_changed_by_override_override_attrs_and_overlays() {
    assert_eq!(
        value("(pkgs.hello.overrideAttrs { version = \"2\"; }).name"),
        "\"hello-2\""
    );
    assert_eq!(
        value("(pkgs.hello.overrideAttrs (old: { version = old.version + \"a\"; })).name"),
        "\"hello-1.0a\""
    );
    // The function of the finished package sees what was changed.
    assert_eq!(
        value(
            "((pkgs.mkDerivation (p: { pname = \"a\"; version = \"1\"; note = p.version; })).overrideAttrs { version = \"2\"; }).note"
        ),
        "\"2\""
    );
    assert_eq!(
        value("(pkgs.banner.override { border = \"#\"; }).name"),
        "\"banner\""
    );
    assert_eq!(
        value("pkgs.banner.override { border = \"#\"; } == pkgs.banner"),
        "false"
    );
    assert_eq!(
        value(
            "((pkgs.greet.overrideAttrs { version = \"9\"; }).override { libgreet = pkgs.hello; }).version"
        ),
        "\"9\""
    );
    let overlay = "final: prev: { libgreet = prev.libgreet.overrideAttrs { version = \"7\"; }; }";
    assert_eq!(
        value(&format!(
            "(pkgs.extend ({overlay})).greet.drvPath == pkgs.greet.drvPath"
        )),
        "false"
    );
    assert_eq!(
        value(&format!(
            "(pkgs.extend ({overlay})).greet.drvPath == (import <rx> {{ overlays = [ ({overlay}) ]; }}).greet.drvPath"
        )),
        "true"
    );
}

#[test]
fn call_package_names_the_argument_that_is_missing() {
    let place = place();
    place.write("thing.nix", "{ mkDerivation, libgret }: 1");
    let text = "(import <rx> { }).callPackage ./thing.nix { }";
    let err = place
        .run("rx-instantiate", ["--eval", "-E", text])
        .failure();
    assert!(
        err.contains("needs 'libgret', which the package set does not have (is 'libgreet' meant?)"),
        "{err}"
    );
}

#[test]
fn the_functions_of_the_library_do_what_their_names_say() {
    for (expression, expected) in [
        ("lib.splitString \".\" \"a.b\"", "[ \"a\" \"b\" ]"),
        ("lib.trim \" a b\\n\"", "\"a b\""),
        (
            "lib.hasPrefix \"a\" \"ab\" && lib.hasSuffix \"b\" \"ab\" && lib.hasInfix \"b\" \"abc\"",
            "true",
        ),
        ("lib.removeSuffix \".c\" \"x.c\"", "\"x\""),
        ("lib.escapeShellArg \"it's\"", "\"'it'\\\\''s'\""),
        ("lib.toUpper \"rx\"", "\"RX\""),
        ("lib.sanitizeName \"a b/c\"", "\"a-b-c\""),
        ("lib.versionAtLeast \"1.10\" \"1.9\"", "true"),
        (
            "lib.unique [ 1 2 1 ] ++ lib.take 1 [ 3 4 ] ++ lib.drop 1 [ 5 6 ]",
            "[ 1 2 3 6 ]",
        ),
        ("lib.reverseList [ 1 2 ]", "[ 2 1 ]"),
        ("lib.flatten [ 1 [ 2 [ 3 ] ] ]", "[ 1 2 3 ]"),
        (
            "lib.zipListsWith (a: b: a + b) [ 1 2 ] [ 10 20 30 ]",
            "[ 11 22 ]",
        ),
        ("lib.foldr (a: b: a - b) 0 [ 5 3 1 ]", "3"),
        (
            "lib.recursiveUpdate { a.b = 1; a.c = 2; } { a.b = 3; }",
            "{ a = { b = 3; c = 2; }; }",
        ),
        (
            "lib.filterAttrs (n: v: v > 1) { a = 1; b = 2; }",
            "{ b = 2; }",
        ),
        (
            "lib.attrByPath [ \"a\" \"b\" ] 0 { a.b = 1; } + lib.attrByPath [ \"x\" ] 5 { }",
            "6",
        ),
        (
            "lib.mapAttrs' (n: v: lib.nameValuePair (n + \"x\") v) { a = 1; }",
            "{ ax = 1; }",
        ),
        ("lib.pipe 1 [ (x: x + 1) toString ]", "\"2\""),
        (
            "((lib.makeExtensible (s: { a = 1; b = s.a; })).extend (f: p: { a = p.a + 1; })).b",
            "2",
        ),
        (
            "lib.getExe pkgs.hello == \"${pkgs.hello}/bin/hello\"",
            "true",
        ),
        ("lib.fix (s: { a = s.b; b = 1; })", "{ a = 1; b = 1; }"),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

#[test]
fn modules_are_merged_and_checked() {
    let modules = |list: &str| {
        value(&format!(
            "(lib.evalModules {{ modules = [ {{ options.n = lib.mkOption {{ type = lib.types.int; default = 1; }};
               options.l = lib.mkOption {{ type = lib.types.listOf lib.types.str; default = [ ]; }};
               options.s = lib.mkOption {{ type = lib.types.attrsOf (lib.types.submodule {{
                 options.on = lib.mkEnableOption \"it\"; }}); default = {{ }}; }}; }} {list} ]; }}).config"
        ))
    };
    assert_eq!(modules(""), "{ l = [ ]; n = 1; s = { }; }");
    assert_eq!(
        modules(
            "{ n = lib.mkDefault 2; l = [ \"a\" ]; } ({ config, ... }: { config = lib.mkIf (config.n == 3) { l = [ \"b\" ]; s.x.on = true; }; }) { n = lib.mkForce 3; }"
        ),
        "{ l = [ \"a\" \"b\" ]; n = 3; s = { x = { on = true; }; }; }"
    );
}

#[test]
fn files_of_ours_behind_nix_are_there() {
    let place = Place::new();
    place.configure("substituters =\nbuild-users-group =\n");
    let text = "import <nix/buildenv.nix> { derivations = [
        (derivation { name = \"a\"; system = builtins.currentSystem; builder = \"/bin/sh\"; args = [ \"-c\" \"exit 1\" ]; }) ]; }";
    let run = place.run("rx-instantiate", ["-E", text]);
    assert!(run.success().contains("-user-environment.drv"));
    for name in ["fetchurl.nix", "unpack-channel.nix"] {
        let run = place.run(
            "rx-instantiate",
            [
                "--eval",
                "-E",
                &format!("builtins.isFunction (import <nix/{name}>)"),
            ],
        );
        assert_eq!(run.success(), "true\n");
    }
}

#[test]
fn a_development_shell_has_its_packages_variables_and_hook() {
    if !has(&["cc", "bash"]) {
        return;
    }
    let place = place();
    let text = "with import <rx> { }; mkShell { packages = [ hello ]; GREETED = \"Ada\"; shellHook = \"echo welcome\"; }";
    let run = place.run("rx-shell", ["-E", text, "--run", "hello $GREETED"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.out, "welcome\nHello, Ada.\n");
}

#[test]
fn scripts_and_trees_are_made_of_texts_and_packages() {
    let place = place();
    let script = "(import <rx> { }).writeShellScript \"greet\" \"echo hi $1\"";
    let program = built(&place, &["-E", script]);
    assert_eq!(said(program, &["you"], ""), "hi you\n");
    let joined = "with import <rx> { }; symlinkJoin {
        name = \"both\";
        paths = [ showtree banner ];
        postBuild = ''ln -s banner \"$out/bin/frame\"'';
      }";
    let tree = built(&place, &["-E", joined]);
    assert_eq!(
        said(tree.join("bin/frame"), &["x"], ""),
        "*****\n* x *\n*****\n"
    );
    assert!(tree.join("bin/showtree").exists());
}

#[test]
fn sources_come_out_of_git() {
    if !has(&["git"]) {
        return;
    }
    let place = place();
    place.write("repo/file", "from git\n");
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=A", "-c", "user.email=a@example.org"])
            .args(args)
            .current_dir(place.work().join("repo"))
            .env("HOME", place.root().join("home"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "file"]);
    git(&["commit", "-q", "-m", "one"]);
    let commit = git(&["rev-parse", "HEAD"]);
    let url = place.work().join("repo").display().to_string();
    let text = format!(
        "builtins.readFile \"${{(import <rx> {{ }}).fetchgit {{ url = \"file://{url}\"; rev = \"{commit}\"; }}}}/file\""
    );
    let run = place.run(
        "rx-instantiate",
        ["--eval", "--read-write-mode", "-E", &text],
    );
    assert_eq!(run.success(), "\"from git\\n\"\n");
}

#[test]
fn the_functions_of_the_library_are_explained() {
    let explained = |name: &str| place().run("rx", ["doc", name]).success();
    assert!(explained("range").starts_with("# lib.range of `import <rx/lib>`\n\nThe integers"));
    assert!(explained("mkDerivation").contains("hostTools = [ \"cc\" \"make\" ];"));
    // A builtin may have the same name.
    let both = explained("fetchurl");
    assert!(
        both.contains("# builtins.fetchurl\n")
            && both.contains("# fetchurl of `import <rx> { }`\n")
    );
    assert!(
        explained("gnu-hello").starts_with("# gnu-hello of `import <rx> { }`\n\nSources over HTTP")
    );
    let error = place().line("rx doc lib.rnage").failure();
    assert!(error.contains("did you mean 'lib.range'?"), "{error}");
}

#[test]
fn what_the_library_defines_is_shown_in_an_editor_and_explained_in_a_session() {
    let place = place().with("EDITOR", "head -n 4");
    let hello =
        "/** The smallest C program. */\n{ mkDerivation }:\nmkDerivation {\n  pname = \"hello\";\n";
    assert_eq!(place.line("rx edit -f <rx> hello").success(), hello);
    let say = |input: &str| place.feed("rx", &["repl", "<rx>"], input).success();
    assert_eq!(say(":e hello\n"), format!("{hello}\n\n"));
    assert_eq!(say(":e <rx/lib>\n").lines().count(), 6);
    assert_eq!(
        say(":doc hello\n").trim(),
        "Package `hello-1.0`\n  … defined at <rx>/packages/hello/default.nix:4\n\nGreets the world"
    );
    assert!(say(":doc mkDerivation\n").contains("`mkDerivation`: a package by phases."));
}

#[test]
fn mistakes_in_calls_of_the_library_are_shown_where_they_are_made() {
    let place = place();
    place.write("text.nix", "with import <rx> { };\nwriteText \"n\" 2\n");
    let wrong = place.line("rx-instantiate text.nix").failure();
    insta::assert_snapshot!(wrong, @r#"
    error: writeText: 'n' must be made of a text, but this is the integer 2
           at DIR/work/text.nix:2:1:
                1| with import <rx> { };
                2| writeText "n" 2
                 | ^
    "#);
    place.write(
        "inputs.nix",
        "with import <rx> { };\nlib.mapAttrs (_: buildInputs: mkDerivation { name = \"p\"; inherit buildInputs; }) {\n\
         text = [ \"zlib\" ]; number = [ 1 ]; set = { }; null = [ null ];\n\
         good = [ ./inputs.nix \"${hello}\" hello ];\n}\n",
    );
    let said = |attribute: &str| {
        let run = place.run("rx-instantiate", ["inputs.nix", "-A", attribute]);
        run.err.lines().next().unwrap_or_default().to_owned()
    };
    let all = ["text", "number", "set", "null"].map(said).join("\n");
    insta::assert_snapshot!(all, @r#"
    error: mkDerivation: 'buildInputs' of 'p' has the text "zlib" in it; packages are named without quotes
    error: mkDerivation: 'buildInputs' of 'p' has the integer 1 in it, which is no package
    error: mkDerivation: 'buildInputs' of 'p' must be a list of packages, but is an empty set
    error: mkDerivation: 'buildInputs' of 'p' has null in it; leave it out with 'lib.optional'
    "#);
    place
        .run("rx-instantiate", ["inputs.nix", "-A", "good"])
        .success();
}

#[test]
fn nothing_in_the_library_is_left_unexplained() {
    let list = place().run("rx", ["doc"]).success();
    let explained: Vec<&str> = list
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .collect();
    let names = value(
        "builtins.concatStringsSep \" \" (
           map (name: \"lib.${name}\") (builtins.filter (name: !builtins ? ${name}) (lib.attrNames lib))
           ++ map (name: \"lib.types.${name}\") (lib.attrNames lib.types)
           ++ builtins.filter (name: !lib.isDerivation pkgs.${name} && name != \"system\") (lib.attrNames pkgs))",
    );
    for name in names.trim_matches('"').split(' ') {
        assert!(explained.contains(&name), "{name}");
    }
}
