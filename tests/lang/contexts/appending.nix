builtins.getContext (builtins.appendContext "a" { "/nix/store/rhjiw6dnnlmmlcpxsqyhyq7vqajmkrc8-a.drv" = { outputs = [ "b" "a" ]; path = true; allOutputs = true; }; })
