# <nix/fetchurl.nix>: a derivation that downloads a file, with the downloader that is built into rx.
# Its attributes are part of the derivation's hash and must stay as every Nix has them.
{
  url,
  name ? baseNameOf (toString url),
  hash ? "",
  sha512 ? "",
  sha1 ? "",
  md5 ? "",
  sha256 ? "",
  # The first hash that was given, in this order.
  outputHash ?
    builtins.head (builtins.filter (given: given != "") [ hash sha512 sha1 md5 ] ++ [ sha256 ]),
  outputHashAlgo ?
    if hash != "" then ""
    else if sha512 != "" then "sha512"
    else if sha1 != "" then "sha1"
    else if md5 != "" then "md5"
    else "sha256",
  executable ? false,
  unpack ? false,
  impure ? false,
  # Accepted and not used.
  system ? "",
}:
derivation (
  (if impure then { __impure = true; } else { inherit outputHash outputHashAlgo; })
  // {
    inherit name url executable unpack;
    urls = [ url ];
    builder = "builtin:fetchurl";
    system = "builtin";
    outputHashMode = if executable || unpack then "recursive" else "flat";
    preferLocalBuild = true;
    # Has no effect; the proxies of the machine are used anyway.
    impureEnvVars = map (scheme: "${scheme}_proxy") [ "http" "https" "ftp" "all" ] ++ [ "no_proxy" ];
  }
)
