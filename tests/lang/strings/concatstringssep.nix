with builtins; [ (concatStringsSep "," [ ]) (concatStringsSep "," [ "a" ]) (concatStringsSep ", " [ "a" "b" "c" ]) (concatStringsSep "" [ "a" { outPath = "b"; } ]) ]
