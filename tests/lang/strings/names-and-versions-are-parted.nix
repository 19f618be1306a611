map builtins.parseDrvName [ "nix-0.12pre12876" "a-b-c" "a-1-b-2" "hello" "x-" "-1" ]
