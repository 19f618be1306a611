let d = derivation { name = "n"; system = "s"; builder = "b"; }; p = builtins.unsafeDiscardOutputDependency d.drvPath; in builtins.getContext (builtins.addDrvOutputDependencies p)
