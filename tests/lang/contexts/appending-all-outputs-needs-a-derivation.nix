builtins.appendContext "a" { "/nix/store/rhjiw6dnnlmmlcpxsqyhyq7vqajmkrc8-a" = { allOutputs = true; }; }
