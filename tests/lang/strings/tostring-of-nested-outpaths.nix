toString [ { outPath = { outPath = "x"; }; } ]
