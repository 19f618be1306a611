# Derivations of every kind that a builder must know, made of a shell and the host's programs alone.
#
# Every attribute is a set of things to build; `all` is what the test builds.
{
  # Where the test's server listens on loopback.
  port ? "1",
  # Hashes of what it serves, in the notation of the expression that uses them.
  served ? {
    flat = "";
    program = "";
    tree = "";
    channel = "";
  },
}:
let
  system = builtins.currentSystem;

  run =
    name: text: attributes:
    derivation (
      {
        inherit name system;
        builder = "/bin/sh";
        args = [
          "-ec"
          text
        ];
        PATH = "/usr/bin:/bin";
      }
      // attributes
    );

  structured =
    name: text: attributes:
    derivation (
      {
        inherit name system;
        __structuredAttrs = true;
        builder = "/bin/bash";
        args = [
          "-ec"
          ''
            export PATH=/usr/bin:/bin
            . "$NIX_ATTRS_SH_FILE"
            ${text}
          ''
        ];
      }
      // attributes
    );

  floating = {
    __contentAddressed = true;
    outputHashAlgo = "sha256";
    outputHashMode = "recursive";
  };

  text = run "text" "echo hello > $out" { };
  two = run "two" "mkdir $out $dev; echo $out > $dev/out; echo lib > $out/lib" {
    outputs = [
      "out"
      "dev"
    ];
  };
  chain = run "chain" "cat $text > $out; echo $text >> $out" { inherit text; };
  library =
    run "library"
      "mkdir -p $out/lib; gcc -shared -fPIC -o $out/lib/libanswer.so $src -Wl,-soname,$out/lib/libanswer.so"
      {
        src = builtins.toFile "answer.c" "int answer(void) { return 42; }\n";
      };
  self = run "self" "mkdir $out; echo $out > $out/me; ln -s $out/me $out/link" { };

  node =
    number:
    run "node-${toString number}" "cat $inputs /dev/null | sort -u | head -n 5 > $out; echo $inputs ${toString number} >> $out" {
      inputs = map (builtins.elemAt nodes) (
        builtins.filter (other: other >= 0 && other < number) [
          (number - 1 - number / 3)
          (number / 2)
          (number - 7)
        ]
      );
    };
  nodes = builtins.genList node 200;

  fixed =
    name: content: algorithm: mode:
    run name "printf '%s' ${content} > $out" {
      outputHashAlgo = algorithm;
      outputHashMode = mode;
      outputHash = builtins.hashString algorithm content;
    };
  floatingText = run "floating" "echo floating > $out" floating;
in
rec {
  plain = {
    inherit text;
    arguments = derivation {
      name = "arguments";
      inherit system;
      builder = "/bin/sh";
      args = [
        "-c"
        "for i in \"$@\"; do echo \"<$i>\"; done > $out"
        "sh"
        ""
        "two words"
        "a\nline"
        "quote'\"\\"
        "ünïcode"
      ];
    };
    environment = run "environment" "env | grep -v '^_=' | sort > $out" {
      string = "a string with \"quotes\"\nand lines";
      yes = true;
      no = false;
      nothing = null;
      number = 7;
      list = [
        1
        "two"
        text
      ];
      empty = "";
    };
    inherit chain self;
    placeholders = run "placeholders" "echo $me > $out; test $me = $out" { me = builtins.placeholder "out"; };
    surroundings =
      run "surroundings"
        "{ pwd; ls -A; hostname; umask; cat /etc/hosts; ls /dev | sort; ls -d /proc/[0-9]* | wc -l; tail -n +3 /proc/net/dev | cut -d: -f1; } > $out"
        { };
    features = run "features" "echo local > $out" {
      preferLocalBuild = true;
      allowSubstitutes = false;
      requiredSystemFeatures = [ ];
    };
  };

  files = {
    link = run "link" "ln -s /nowhere/at/all $out" { };
    program = run "program" "printf '#!/bin/sh\\necho hi\\n' > $out; chmod 700 $out" { };
    modes =
      run "modes"
        "mkdir $out; cd $out; for m in 000 400 440 444 600 644 700 755 555 511 100; do echo $m > f$m; chmod $m f$m; done; mkdir d; echo > d/f; chmod 500 d"
        { };
    names =
      run "names"
        "mkdir $out; cd $out; for n in ' ' 'a b' 'ä' '~' '-rf' 'a\\b' '*' '.hidden' \"$(printf 'x\\ny')\" A a Z z; do echo \"$n\" > \"$n\"; done"
        { };
    links = run "links" "mkdir $out; cd $out; echo one > a; ln a b; ln -s a c; ln -s $out/a d; ln -s ../.. e; mkdir empty" { };
    deep = run "deep" "d=$out; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do d=$d/$i; done; mkdir -p $d; echo deep > $d/f" { };
    many = run "many" "mkdir $out; i=0; while [ $i -lt 500 ]; do echo $i > $out/$i; i=$((i+1)); done" { };
    large = run "large" "seq 1 2000000 > $out; echo $text >> $out" { inherit text; };
    empty = run "empty" ": > $out" { };
    times = run "times" "mkdir $out; echo old > $out/f; touch -d '2001-02-03' $out/f $out" { };
  };

  outputs = {
    inherit two;
    user = run "user" "cat $two/lib $dev/out > $out" {
      inherit two;
      inherit (two) dev;
    };
    reversed = run "reversed" "echo $b > $a; echo b > $b; echo $a $b > $c" {
      outputs = [
        "c"
        "b"
        "a"
      ];
    };
    onlyDevelopment = run "only-development" "cat $dev/out > $out" { inherit (two) dev; };
  };

  sources = {
    file = run "source-file" "cp $src $out" { src = ./tree/a; };
    tree = run "source-tree" "cp -r $src $out" { src = ./tree; };
    filtered = run "source-filtered" "cp -r $src $out" {
      src = builtins.path {
        name = "some";
        path = ./tree;
        filter = path: type: baseNameOf path != "a";
      };
    };
    flat = run "source-flat" "cp $src $out" {
      src = builtins.path {
        path = ./tree/a;
        recursive = false;
        sha256 = builtins.hashFile "sha256" ./tree/a;
      };
    };
    written = run "source-written" "cat $src > $out" { src = builtins.toFile "written" "about ${builtins.toFile "other" "x"}\n"; };
  };

  fixedOutputs = {
    flatSha256 = fixed "fixed-sha256" "one" "sha256" "flat";
    flatSha1 = fixed "fixed-sha1" "two" "sha1" "flat";
    flatMd5 = fixed "fixed-md5" "three" "md5" "flat";
    flatSha512 = fixed "fixed-sha512" "four" "sha512" "flat";
    sri = run "fixed-sri" "printf 'one' > $out" {
      outputHashMode = "flat";
      outputHash = "sha256-dpLDrTVAu4A8Ags67mbNiIcSMjTqDG5xQ8Ct1z/0Me0=";
      impureEnvVars = [ "NOTHING_HAS_THIS_NAME" ];
    };
    tree = run "fixed-tree" "cp -r $src $out" {
      src = ./tree;
      outputHashAlgo = "sha256";
      outputHashMode = "recursive";
      outputHash = served.tree;
    };
    usesFixed = run "uses-fixed" "cat $input > $out; echo $input >> $out" { input = fixedOutputs.flatSha256; };
  };

  network =
    let
      fetch =
        name: attributes:
        derivation (
          {
            inherit name;
            system = "builtin";
            builder = "builtin:fetchurl";
            url = "http://127.0.0.1:${port}/${name}";
            executable = false;
            unpack = false;
            preferLocalBuild = true;
            outputHashMode = "flat";
            outputHashAlgo = "sha256";
          }
          // attributes
        );
    in
    rec {
      flat = fetch "flat" { outputHash = served.flat; };
      program = fetch "program" {
        outputHash = served.program;
        outputHashMode = "recursive";
        executable = true;
      };
      tree = fetch "tree.nar" {
        name = "tree";
        outputHash = served.tree;
        outputHashMode = "recursive";
        unpack = true;
      };
      channel = derivation {
        name = "channel";
        system = "builtin";
        builder = "builtin:unpack-channel";
        channelName = "some";
        src = fetch "channel.tar.gz" { outputHash = served.channel; };
      };
      environment = derivation {
        name = "environment-of-links";
        system = "builtin";
        builder = "builtin:buildenv";
        manifest = "/dummy";
        derivations = [
          "true"
          "5"
          "1"
          two
          "true"
          "4"
          "1"
          library
        ];
      };
    };

  structuredAttributes = {
    variables = structured "structured" "echo \"$string $number ${"\${list[*]}"} ${"\${table[key]}"}\" > \${outputs[out]}; cat $NIX_ATTRS_JSON_FILE >> \${outputs[out]}; grep -v PATH $NIX_ATTRS_SH_FILE >> \${outputs[out]}" {
      string = "it's";
      number = 3;
      yes = true;
      float = 1.5;
      list = [
        "a"
        "b c"
      ];
      table.key = "value";
      nested.deeper = [ { x = 1; } ];
      nothing = null;
    };
    two = structured "structured-two" "echo one > \${outputs[out]}; echo \${outputs[out]} > \${outputs[dev]}" {
      outputs = [
        "out"
        "dev"
      ];
      outputChecks.out.disallowedReferences = [ "dev" ];
      outputChecks.dev.allowedReferences = [ "out" ];
      outputChecks.dev.maxSize = 4096;
    };
    discarded = structured "structured-discarded" "echo ${text} > \${outputs[out]}" { unsafeDiscardReferences.out = true; };
    graph = structured "structured-graph" "cat $NIX_ATTRS_JSON_FILE > \${outputs[out]}" {
      exportReferencesGraph.closure = [ chain ];
    };
  };

  extras = {
    files = run "as-file" "cat $bigPath > $out; basename $bigPath >> $out" {
      passAsFile = [ "big" ];
      big = builtins.concatStringsSep "\n" (builtins.genList toString 1000);
    };
    graph = run "graph" "cat closure more > $out" {
      exportReferencesGraph = [
        "closure"
        chain
        "more"
        two.dev
      ];
    };
    graphOfDerivation = run "graph-of-derivation" "cat closure > $out" {
      exportReferencesGraph = [
        "closure"
        chain.drvPath
      ];
    };
    allowed = run "allowed" "echo $text $out > $out" {
      inherit text;
      allowedReferences = [
        text
        "out"
      ];
      allowedRequisites = [
        text
        "out"
      ];
      disallowedReferences = [ chain ];
    };
    disallowed = run "disallowed" "echo fine > $out" {
      inherit chain;
      disallowedRequisites = [ text ];
    };
  };

  contentAddressed = {
    inherit floatingText;
    flat = run "floating-flat" "echo flat > $out" (floating // { outputHashMode = "flat"; });
    sha1 = run "floating-sha1" "echo sha1 > $out" (floating // { outputHashAlgo = "sha1"; });
    text = run "floating-text" "echo text > $out" (floating // { outputHashMode = "text"; });
    self = run "floating-self" "mkdir $out; echo $out > $out/me; echo $out $out > $out/twice; ln -s $out $out/link" floating;
    outputs = run "floating-outputs" "echo one > $out; echo $out $dev > $dev" (
      floating
      // {
        outputs = [
          "out"
          "dev"
        ];
      }
    );
    user = run "floating-user" "cat $input > $out; echo $input >> $out" (floating // { input = floatingText; });
    addressedUser = run "addressed-user" "cat $input > $out; echo $input >> $out" { input = floatingText; };
    # Another derivation for the same content, built after the first.
    same = run "floating" "printf 'float'; echo floating > $out" (floating // { after = floatingText; });
    graph = run "floating-graph" "cat closure > $out" {
      exportReferencesGraph = [
        "closure"
        contentAddressed.user
      ];
    };
  };

  compiled = {
    inherit library;
    program =
      run "compiled" "mkdir -p $out/bin; gcc -O1 -o $out/bin/answer $src $library/lib/libanswer.so; $out/bin/answer > $out/said"
        {
          inherit library;
          src = builtins.toFile "main.c" ''
            #include <stdio.h>
            int answer(void);
            int main(void) { printf("%d\n", answer()); return 0; }
          '';
        };
    static = run "archive" "gcc -c -o x.o $src; ar Dcr $out x.o" {
      src = builtins.toFile "x.c" "int x = 1;\n";
    };
  };

  graph = nodes;
}
