let d = derivation { name = "n"; system = "s"; builder = "b"; }; in [ d.drvPath d.outPath d.type d.name d.outputName ]
