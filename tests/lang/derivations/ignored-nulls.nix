let f = a: (derivation ({ name = "n"; system = "s"; builder = "b"; } // a)).drvPath; in [ (f { } == f { __ignoreNulls = true; x = null; }) (f { } == f { x = null; }) ]
