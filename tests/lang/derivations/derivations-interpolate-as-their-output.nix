let d = derivation { name = "n"; system = "s"; builder = "b"; }; in "${d}/bin" == d.outPath + "/bin"
