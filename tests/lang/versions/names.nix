map builtins.parseDrvName [ "nix-js-0.12.2pre1" "a" "a-1" "a-b" "foo-1-2" "x-" ]
