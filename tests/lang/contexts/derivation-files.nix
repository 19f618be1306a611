let d = derivation { name = "n"; system = "s"; builder = "b"; }; in [ (builtins.getContext d.drvPath) (builtins.getContext (builtins.unsafeDiscardOutputDependency d.drvPath)) ]
