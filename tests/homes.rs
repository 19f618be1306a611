//! Homes and systems from one configuration, with a small module set in place of Home Manager and NixOS.

mod common;

use std::path::PathBuf;

use common::{Place, processes};

/// Stands in for Home Manager: a configuration is a set with `greeting`, `packages`, `news`, `uninstall`.
const MODULES: &str = r#"
{ confPath, confAttr ? "" }:
let
  file = import confPath;
  own = if confAttr == "" then file else file.${confAttr};
  unknown = builtins.attrNames (removeAttrs own [ "greeting" "packages" "news" "uninstall" "home" ]);
  checked = if unknown == [ ] then own else throw "The option `${builtins.head unknown}' does not exist.";
  conf = { greeting = null; packages = [ ]; news = [ ]; uninstall = false; } // checked;
  make = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" "PATH=/bin:/usr/bin\n${script}" ];
  };
  package = name: make name "mkdir -p $out/bin; echo ${name} > $out/bin/tool";
  path = make "home-path" "mkdir $out; ${toString (map (p: "ln -s ${package p} $out/${p};") conf.packages)}";
in
{
  config = {
    home.greeting = conf.greeting;
    news = { display = "notify"; entries = conf.news; };
    home.files.notes = { text = "one\ntwo"; mode = throw "no mode"; };
    home.settings.depth.limit = 3;
    home.self = package "self-1";
    home.old = throw "this name is not used";
  };
  pkgs = { inherit package; };
  options.home.greeting = {
    _type = "option";
    loc = [ "home" "greeting" ];
    description = "What is said.";
    type.description = "string";
    value = conf.greeting;
    default = null;
    declarations = [ "greeting.nix" ];
    files = [ confPath ];
  };
  options.home.files = {
    _type = "option";
    loc = [ "home" "files" ];
    type.description = "files";
    type.getSubOptions = prefix: {
      text = {
        _type = "option";
        loc = prefix ++ [ "<name>" "text" ];
        description = { _type = "mdDoc"; text = "What is in it."; };
        defaultText = { _type = "literalExpression"; text = "nothing at all"; };
      };
    };
  };
  options.home.settings = { _type = "option"; loc = [ "home" "settings" ]; type.description = "anything"; };
  options.home.self = { _type = "option"; loc = [ "home" "self" ]; };
  options.home.old = { _type = "option"; loc = [ "home" "old" ]; visible = false; };
  activationPackage = make "home-manager-generation" ''
    mkdir $out
    echo 1 > $out/gen-version
    ln -s ${path} $out/home-path
    cat > $out/activate <<'END'
    #!/bin/sh
    if [ -n "$DRY_RUN" ]; then echo "would greet ${toString conf.greeting}"; exit; fi
    nix-store --version > $HOME/.version
    rm -f $HOME/.greeting
    if [ -e $HOME/hang ]; then touch $HOME/hanging; exec sleep 600; fi
    ${if conf.uninstall then "echo gone" else "echo '${toString conf.greeting}' > $HOME/.greeting"}
    END
    sed -i 's/^ *//' $out/activate
    chmod +x $out/activate
  '';
}
"#;

struct Home {
    place: Place,
}

impl Home {
    fn new() -> Home {
        let place = Place::new();
        place.configure(
            "substituters =\nbuild-users-group =\nsandbox = false\nexperimental-features = nix-command flakes\nflake-registry =\n",
        );
        place.write("modules/home-manager/home-manager.nix", MODULES);
        let path = format!("home-manager={}", place.work().join("modules").display());
        Home {
            place: place.with("NIX_PATH", &path).with("USER", "me"),
        }
    }

    fn configure(&self, text: &str) {
        let directory = self.home().join(".config/home-manager");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("home.nix"), text).unwrap();
    }

    fn home(&self) -> PathBuf {
        self.place.root().join("home")
    }

    fn rx(&self, line: &str) -> common::Outcome {
        self.place.line(&format!("rx home {line}"))
    }

    fn greeting(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.home().join(".greeting")).ok()?;
        Some(text.trim().to_owned())
    }

    /// The generations as numbers, the current one marked.
    fn generations(&self) -> Vec<String> {
        let text = self.rx("generations").success();
        text.lines()
            .map(|line| {
                let id = line.split("id ").nth(1).unwrap();
                let number = id.split(' ').next().unwrap();
                let mark = if line.ends_with("(current)") { "*" } else { "" };
                format!("{number}{mark}")
            })
            .collect()
    }
}

#[test]
fn a_home_is_switched_rolled_back_and_cleaned_up() {
    let home = Home::new();
    let empty = home.rx("generations");
    assert!(empty.err.contains("no generations yet"), "{}", empty.err);
    assert_eq!(empty.success(), "");
    home.configure("{ greeting = \"one\"; packages = [ \"hello-1.0\" ]; }");
    home.rx("switch").success();
    assert_eq!(home.greeting().as_deref(), Some("one"));
    assert!(home.home().join(".version").exists());
    home.configure("{ greeting = \"two\"; packages = [ \"hello-1.1\" \"more-2\" ]; }");
    let dry = home.rx("switch --dry-run");
    assert_eq!(dry.success(), "would greet two\n");
    assert_eq!(home.greeting().as_deref(), Some("one"));
    let second = home.rx("switch");
    assert!(second.err.contains("hello: 1.0 → 1.1"), "{}", second.err);
    assert!(second.err.contains("+ more: ∅ → 2"), "{}", second.err);
    assert_eq!(home.greeting().as_deref(), Some("two"));
    assert_eq!(home.generations(), ["2*", "1"]);
    assert_eq!(home.rx("packages").success(), "hello-1.1\nmore-2\n");
    home.rx("rollback").success();
    assert_eq!(home.greeting().as_deref(), Some("one"));
    assert_eq!(home.generations(), ["2", "1*"]);
    home.rx("rollback --to 2").success();
    assert_eq!(home.greeting().as_deref(), Some("two"));
    home.rx("switch --rollback").success();
    assert_eq!(home.greeting().as_deref(), Some("one"));
    home.configure("{ greeting = \"three\"; }");
    home.rx("switch").success();
    assert_eq!(home.generations(), ["3*", "2", "1"]);
    home.rx("remove-generations 3").failure();
    home.rx("remove-generations 1").success();
    assert_eq!(home.generations(), ["3*", "2"]);
    home.rx("expire-generations 30d").success();
    assert_eq!(home.generations(), ["3*", "2"]);
    home.place.line("rx-collect-garbage").success();
    home.rx("rollback").success();
    assert_eq!(home.greeting().as_deref(), Some("two"));
}

#[test]
fn a_switch_that_is_killed_is_repeated() {
    let home = Home::new();
    home.configure("{ greeting = \"one\"; }");
    home.rx("switch").success();
    home.configure("{ greeting = \"two\"; }");
    std::fs::write(home.home().join("hang"), "").unwrap();
    let mut switch = home
        .place
        .command("rx")
        .args(["home", "switch"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    processes::until("that it begins", || home.home().join("hanging").exists());
    switch.kill().unwrap();
    switch.wait().unwrap();
    // What it was running goes on without it.
    for left in processes::of_directory(home.place.root()) {
        processes::kill(left);
    }
    std::fs::remove_file(home.home().join("hang")).unwrap();
    // The generation is complete; only its files were not placed.
    assert_eq!(home.generations(), ["2*", "1"]);
    assert_eq!(home.greeting(), None);
    home.rx("switch").success();
    assert_eq!(home.greeting().as_deref(), Some("two"));
    assert_eq!(home.generations(), ["2*", "1"]);
}

#[test]
fn a_switch_killed_at_any_moment_leaves_the_old_home_or_the_new_one() {
    let home = Home::new();
    home.configure("{ greeting = \"0\"; }");
    home.rx("switch").success();
    for (number, delay) in [0, 30, 60, 100, 150, 200, 300, 450, 700]
        .into_iter()
        .enumerate()
    {
        let (old, new) = (number + 1, number + 2);
        home.configure(&format!(
            "{{ greeting = \"{new}\"; packages = [ \"p-{new}\" ]; }}"
        ));
        let mut switch = home
            .place
            .command("rx")
            .args(["home", "switch"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay));
        switch.kill().unwrap();
        switch.wait().unwrap();
        for left in processes::of_directory(home.place.root()) {
            processes::kill(left);
        }
        let generations = home.generations();
        let current = &generations[0];
        assert!(
            *current == format!("{old}*") || *current == format!("{new}*"),
            "{generations:?}"
        );
        home.rx("packages").success();
        home.rx("switch").success();
        assert_eq!(home.greeting(), Some(new.to_string()));
        assert_eq!(home.generations()[0], format!("{new}*"));
        assert_eq!(home.rx("packages").success(), format!("p-{new}\n"));
    }
}

#[test]
fn a_mistake_in_the_configuration_changes_nothing() {
    let home = Home::new();
    home.configure("{ greeting = \"one\"; }");
    home.rx("switch").success();
    home.configure("{ greting = \"two\"; }");
    let error = home.rx("switch").failure();
    assert!(
        error.contains("The option `greting' does not exist."),
        "{error}"
    );
    assert_eq!(home.greeting().as_deref(), Some("one"));
    assert_eq!(home.generations(), ["1*"]);
}

#[test]
fn a_configuration_is_written_edited_evaluated_and_built() {
    let home = Home::new();
    let none = home.rx("build").failure();
    assert!(none.contains("No configuration file found"), "{none}");
    home.rx("init").success();
    let file = home.home().join(".config/home-manager/home.nix");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("home.username = \"me\";"), "{text}");
    home.rx("init").success();
    home.configure("{ greeting = \"one\"; }");
    let mut edit = home.place.command("rx");
    let editor = "sed -i s/one/two/";
    let edited = edit.args(["home", "edit"]).env("EDITOR", editor).status();
    assert!(edited.unwrap().success());
    let drv = home.rx("instantiate").success();
    assert!(
        drv.trim_end().ends_with("-home-manager-generation.drv"),
        "{drv}"
    );
    let built = home.rx("build").success();
    assert!(
        built.trim_end().ends_with("-home-manager-generation"),
        "{built}"
    );
    let script = std::fs::read_to_string(home.place.work().join("result/activate")).unwrap();
    assert!(script.contains("echo 'two'"), "{script}");
    assert_eq!(home.greeting(), None);
}

#[test]
fn news_are_announced_and_shown_once() {
    let home = Home::new();
    home.configure(
        "{ greeting = \"one\"; news = [
             { id = \"a\"; time = \"2020-01-01T00:00:00+00:00\"; condition = true; message = \"first\"; }
             { id = \"b\"; time = \"2021-01-01T00:00:00+00:00\"; condition = true; message = \"second\"; }
             { id = \"c\"; time = \"2022-01-01T00:00:00+00:00\"; condition = false; message = \"third\"; }
           ]; }",
    );
    let switched = home.rx("switch");
    assert!(switched.err.contains("2 unread"), "{}", switched.err);
    let news = home.rx("news").success();
    let (first, second) = (news.find("first"), news.find("second"));
    assert!(second.is_some() && second < first, "{news}");
    assert!(!news.contains("third"), "{news}");
    assert_eq!(home.rx("news").success(), "");
    let again = home.rx("switch");
    assert!(!again.err.contains("unread"), "{}", again.err);
}

#[test]
fn uninstalling_asks_first() {
    let home = Home::new();
    home.configure("{ greeting = \"one\"; }");
    home.rx("switch").success();
    home.rx("uninstall").success();
    assert_eq!(home.greeting().as_deref(), Some("one"));
    assert_eq!(home.rx("uninstall --yes").success(), "gone\n");
    assert_eq!(home.greeting(), None);
}

#[test]
fn the_configuration_can_come_from_a_flake() {
    let home = Home::new();
    home.place.write(
        "flake.nix",
        "{ outputs = { self }: { homeConfigurations.me = import ./modules/home-manager/home-manager.nix {
             confPath = ./home.nix; }; }; }",
    );
    home.place.write("home.nix", "{ greeting = \"flake\"; }");
    home.rx("switch --impure --flake path:.").success();
    assert_eq!(home.greeting().as_deref(), Some("flake"));
    home.rx("switch --impure --flake path:.#me").success();
    let error = home.rx("switch --impure --flake path:.#you").failure();
    assert!(error.contains("does not provide attribute"), "{error}");
}

#[test]
fn options_are_shown_with_what_is_inside() {
    let home = Home::new();
    home.configure("{ greeting = \"one\"; }");
    let greeting = home.rx("option home.greeting").success();
    for part in [
        "Value:\n  \"one\"\n\n",
        "Type:\n  string\n",
        "Description:\n  What is said.\n",
        "Declared by:\n  greeting.nix\n",
    ] {
        assert!(greeting.contains(part), "{greeting}");
    }
    let names = home.rx("option home").success();
    assert_eq!(names, "files\ngreeting\nold\nself\nsettings\n");
    assert_eq!(home.rx("option").success(), "home\n");
    // The element of a set of modules has options, and its value is that of the element.
    let text = home.rx("option home.files.notes.text").success();
    assert_eq!(
        text,
        "Value:\n  ''\n  one\n  two\n  ''\n\nDefault:\n  nothing at all\n\nDescription:\n  What is in it.\n"
    );
    // What no option describes has a value all the same.
    let inside = home.rx("option home.settings.depth").success();
    assert_eq!(
        inside,
        "Value:\n  { limit = 3; }\n\nInside:\n  home.settings\n"
    );
    let error = home.rx("option home.greting").failure();
    assert!(error.contains("did you mean 'home.greeting'?"), "{error}");
    let error = home.rx("option home.greeting.loud").failure();
    assert!(error.contains("without options inside"), "{error}");
}

#[test]
fn all_values_below_an_option_are_shown_even_if_some_fail() {
    let home = Home::new();
    home.configure("{ greeting = \"one\"; }");
    let all = home.rx("option --recursive home").success();
    assert_eq!(
        all,
        "home.files.notes.mode = «error: no mode»;\nhome.files.notes.text = ''\none\ntwo\n'';\nhome.greeting = \"one\";\nhome.self = «derivation self-1»;\nhome.settings.depth.limit = 3;\n"
    );
    let one = home.rx("option -r home.greeting home.settings").success();
    assert_eq!(
        one,
        "home.greeting = \"one\";\n\nhome.settings.depth.limit = 3;\n"
    );
}

#[test]
fn a_session_knows_the_configuration_and_loads_it_again() {
    let home = Home::new();
    home.configure("{ greeting = \"one\"; }");
    let ask = |line: &str, text: &str| {
        let words: Vec<_> = line.split(' ').collect();
        home.place.feed("rx", &words, text).success()
    };
    let answer = ask(
        "home repl",
        "config.home.greeting\noptions.home.greeting.loc\n",
    );
    assert!(answer.contains("\"one\""), "{answer}");
    assert!(answer.contains("\"greeting\""), "{answer}");
    home.place.write(
        "flake.nix",
        "{ outputs = { self }: let all = { a = 1; } // { me = { config.x = 41 + 1; options = { }; pkgs.lib.y = 43; }; };
             in { homeConfigurations = all; nixosConfigurations.box = all.me; }; }",
    );
    let answer = ask(
        "home repl --flake path:.",
        "config.x\nlib.y\n:r\nflake ? outputs\n",
    );
    for part in ["42", "43", "true"] {
        assert!(answer.contains(part), "{answer}");
    }
    let answer = ask("os repl --flake path:.#box", "config.x\n");
    assert!(answer.contains("42"), "{answer}");
}

/// Stands in for `<nixpkgs/nixos>`: a configuration is a set with `version` and `extra`.
const SYSTEM: &str = r#"
{ configuration ? import <nixos-config> }:
let
  own = if builtins.isPath configuration || builtins.isString configuration then import configuration else configuration;
  make = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" "PATH=/bin:/usr/bin\n${script}" ];
  };
in
{
  options.version = {
    _type = "option";
    loc = [ "version" ];
    description = "The version.";
    type.description = "string";
    value = own.version;
    declarations = [ ];
    definitionsWithLocations = [ ];
  };
  config.version = own.version;
  config.system.build.toplevel = make "nixos-system-${own.version}" ''
    mkdir -p $out/kernel-modules/lib/modules/6.1 $out/specialisation/small $out/bin
    echo ${own.version} > $out/nixos-version
    printf '#!/bin/sh\necho "$1 ${own.version} $NIXOS_INSTALL_BOOTLOADER"\n' > $out/bin/switch-to-configuration
    chmod +x $out/bin/switch-to-configuration
    ln -s ${make (own.extra or "extra-1") "echo > $out"} $out/extra
  '';
}
"#;

#[test]
fn a_system_is_evaluated_planned_and_built() {
    let home = Home::new();
    let place = &home.place;
    place.write("nixpkgs/nixos/default.nix", SYSTEM);
    place.write("system.nix", "{ version = \"25.05\"; }");
    let include = format!("-I nixpkgs={}", place.work().join("nixpkgs").display());
    let rx = |line: &str| place.line(&format!("rx os {line} {include}"));
    let plan = rx("dry-build -f system.nix");
    assert!(
        plan.err.contains("these 2 derivations will be built"),
        "{}",
        plan.err
    );
    assert!(
        plan.success()
            .trim_end()
            .ends_with("-nixos-system-25.05.drv")
    );
    let built = rx("build -f system.nix");
    assert!(
        built.err.contains("+ nixos-system: ∅ → 25.05"),
        "{}",
        built.err
    );
    assert!(built.success().trim_end().ends_with("-nixos-system-25.05"));
    let path = std::fs::read_link(place.work().join("result")).unwrap();
    let path = path.display().to_string();
    let option = rx("option -f system.nix version").success();
    assert!(option.contains("25.05"), "{option}");
    // The generations of a system are those of its profile.
    let profile = place.root().join("var/nix/profiles/system");
    for _ in 0..2 {
        place
            .run("rx-env", ["-p", profile.to_str().unwrap(), "--set", &*path])
            .success();
    }
    let list = place.line("rx os list-generations --json").success();
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list.as_array().map(Vec::len), Some(1));
    assert_eq!(list[0]["nixosVersion"], "25.05");
    assert_eq!(list[0]["kernelVersion"], "6.1");
    assert_eq!(list[0]["specialisations"][0], "small");
    assert_eq!(list[0]["current"], true);
    place.write(
        "system.nix",
        "{ version = \"25.11\"; extra = \"extra-2\"; }",
    );
    let next = rx("build -f system.nix");
    assert!(
        next.err.contains("nixos-system: 25.05 → 25.11"),
        "{}",
        next.err
    );
    assert!(next.err.contains("extra: 1 → 2"), "{}", next.err);
}

#[test]
fn a_system_is_switched_to_tried_and_rolled_back() {
    let home = Home::new();
    let place = &home.place;
    place.write("nixpkgs/nixos/default.nix", SYSTEM);
    let include = format!("-I nixpkgs={}", place.work().join("nixpkgs").display());
    let rx = |line: &str| place.line(&format!("rx os {line} -f system.nix {include}"));
    let current = || {
        let list = place.line("rx os list-generations --json").success();
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let all = list.as_array().unwrap();
        let current = all.iter().find(|one| one["current"] == true);
        let version = current.map(|one| one["nixosVersion"].as_str().unwrap().to_owned());
        (all.len(), version.unwrap_or_default())
    };
    std::fs::create_dir_all(place.root().join("var/nix/profiles")).unwrap();
    place.write("system.nix", "{ version = \"1\"; }");
    assert_eq!(rx("dry-activate").success(), "dry-activate 1 0\n");
    assert_eq!(current(), (0, String::new()));
    assert_eq!(rx("switch").success(), "switch 1 0\n");
    assert_eq!(current(), (1, "1".to_owned()));
    place.write("system.nix", "{ version = \"2\"; }");
    assert_eq!(rx("test").success(), "test 2 0\n");
    assert_eq!(current(), (1, "1".to_owned()));
    let boot = rx("boot --install-bootloader");
    assert!(boot.err.contains("nixos-system: 1 → 2"), "{}", boot.err);
    assert_eq!(boot.success(), "boot 2 1\n");
    assert_eq!(current(), (2, "2".to_owned()));
    assert_eq!(rx("switch --rollback").success(), "switch 1 0\n");
    assert_eq!(current(), (2, "1".to_owned()));
    let back = place.line("rx os rollback --to 2");
    assert!(back.err.contains("1 → 2"), "{}", back.err);
    assert_eq!(back.success(), "switch 2 0\n");
    assert_eq!(place.line("rx os rollback").success(), "switch 1 0\n");
    assert_eq!(current(), (2, "1".to_owned()));
    place.line("rx os rollback --to 7").failure();
    let error = rx("switch --specialisation none").failure();
    assert!(error.contains("has no specialisation 'none'"), "{error}");
    assert_eq!(current(), (2, "1".to_owned()));
}

#[test]
fn a_plan_does_not_wait_for_a_cache_that_cannot_be_reached() {
    let home = Home::new();
    let place = &home.place;
    // Nobody listens at this port, and the other one never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    place.configure(&format!(
        "substituters = http://127.0.0.1:1 http://127.0.0.1:{port}\nconnect-timeout = 1\nstalled-download-timeout = 1\ndownload-attempts = 1\nbuild-users-group =\nsandbox = false\nexperimental-features = nix-command flakes\n"
    ));
    place.write("nixpkgs/nixos/default.nix", SYSTEM);
    place.write("system.nix", "{ version = \"25.05\"; }");
    let include = format!("nixpkgs={}", place.work().join("nixpkgs").display());
    let plan = place.run(
        "rx",
        ["os", "dry-build", "-f", "system.nix", "-I", &include],
    );
    assert!(
        plan.err.contains("these 2 derivations will be built"),
        "{}",
        plan.err
    );
    plan.success();
}
