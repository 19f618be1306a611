builtins.getContext (builtins.appendContext "a" { "/nix/store/rhjiw6dnnlmmlcpxsqyhyq7vqajmkrc8-a" = { path = false; outputs = [ ]; }; })
