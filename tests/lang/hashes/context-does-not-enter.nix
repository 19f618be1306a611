builtins.hashString "md5" "${builtins.toFile "a" "b"}" == builtins.hashString "md5" (builtins.unsafeDiscardStringContext "${builtins.toFile "a" "b"}")
