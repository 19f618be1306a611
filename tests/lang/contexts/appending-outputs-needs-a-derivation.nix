builtins.appendContext "a" { "/nix/store/rhjiw6dnnlmmlcpxsqyhyq7vqajmkrc8-a" = { outputs = [ "out" ]; }; }
