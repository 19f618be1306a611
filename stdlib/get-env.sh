# The builder of a derivation that writes down, as JSON, the variables and functions that the builder of another
# derivation would have: what stdenv's setup makes of its environment. The first output gets the JSON, others are
# empty files.
#
# Nothing but bash itself may be relied upon.
set -e

if [[ -e "$NIX_ATTRS_SH_FILE" ]]; then
    source "$NIX_ATTRS_SH_FILE"
fi

export IN_NIX_SHELL=impure
export dontAddDisableDepTrack=1

if [[ -n "$stdenv" ]]; then
    source "$stdenv/setup"
fi

# A list of all names, made before this script adds its own.
rx_env_names=()
for rx_env_letter in _ {a..z} {A..Z}; do
    eval "rx_env_names+=(\"\${!$rx_env_letter@}\")"
done
rx_env_functions=()
while read -r rx_env_ignored rx_env_ignored rx_env_word; do
    rx_env_functions+=("$rx_env_word")
done < <(declare -F)

# Appends a JSON string to $rx_env_json.
rx_env_string() {
    local text=$1 code char
    text=${text//\\/\\\\}
    text=${text//\"/\\\"}
    text=${text//$'\n'/\\n}
    text=${text//$'\r'/\\r}
    text=${text//$'\t'/\\t}
    if [[ $text == *[$'\x01'-$'\x1f']* ]]; then
        for code in {1..31}; do
            printf -v char "\\x$(printf %x "$code")"
            printf -v code '\\u%04x' "$code"
            text=${text//"$char"/"$code"}
        done
    fi
    rx_env_json+="\"$text\""
}

rx_env_function() {
    local definition
    definition=$(declare -f "$1")
    definition=${definition#*\{}
    definition=${definition%\}*}
    rx_env_string "$1"
    rx_env_json+=": "
    rx_env_string "$definition"
}

# Variables of bash itself, and those that belong to one process.
rx_env_skips() {
    case $1 in
        rx_env_* | BASH_* | COMP_* | _ | DIRSTACK | EUID | FUNCNAME | GROUPS | HISTCMD | HOSTNAME | PIPESTATUS \
            | PWD | RANDOM | SRANDOM | SHLVL | SECONDS | EPOCHREALTIME | EPOCHSECONDS) return 0 ;;
        *) return 1 ;;
    esac
}

# Its own names all have the prefix: a local variable would hide the one that is asked for.
# Appends a variable with its type, if it is one of those that a shell can be given.
rx_env_variable() {
    local rx_env_flags rx_env_comma="" rx_env_item
    rx_env_flags=$(declare -p "$1" 2>/dev/null) || return 0
    rx_env_flags=${rx_env_flags#declare }
    rx_env_flags=${rx_env_flags%% *}
    case $rx_env_flags in
        -- | -x | -a | -A) ;;
        *) return 0 ;;
    esac
    [[ -n "$rx_env_first" ]] || rx_env_json+=","
    rx_env_first=
    rx_env_json+=$'\n    '
    rx_env_string "$1"
    rx_env_json+=": {\"type\": "
    case $rx_env_flags in
        -x)
            rx_env_json+="\"exported\", \"value\": "
            rx_env_string "${!1}"
            ;;
        --)
            rx_env_json+="\"var\", \"value\": "
            rx_env_string "${!1}"
            ;;
        -a)
            rx_env_json+="\"array\", \"value\": ["
            local rx_env_list="$1[@]"
            for rx_env_item in "${!rx_env_list}"; do
                rx_env_json+=$rx_env_comma
                rx_env_comma=", "
                rx_env_string "$rx_env_item"
            done
            rx_env_json+="]"
            ;;
        -A)
            rx_env_json+="\"associative\", \"value\": {"
            local -n rx_env_map="$1"
            for rx_env_item in "${!rx_env_map[@]}"; do
                rx_env_json+=$rx_env_comma
                rx_env_comma=", "
                rx_env_string "$rx_env_item"
                rx_env_json+=": "
                rx_env_string "${rx_env_map[$rx_env_item]}"
            done
            rx_env_json+="}"
            ;;
    esac
    rx_env_json+="}"
}

rx_env_json=$'{\n  "bashFunctions": {'
rx_env_first=1
for rx_env_word in "${rx_env_functions[@]}"; do
    [[ -n "$rx_env_first" ]] || rx_env_json+=","
    rx_env_first=
    rx_env_json+=$'\n    '
    rx_env_function "$rx_env_word"
done
rx_env_json+=$'\n  },\n  "variables": {'
rx_env_first=1
for rx_env_word in "${rx_env_names[@]}"; do
    rx_env_skips "$rx_env_word" || rx_env_variable "$rx_env_word"
done
rx_env_json+=$'\n  }'
if [[ -e "$NIX_ATTRS_SH_FILE" ]]; then
    rx_env_json+=$',\n  "structuredAttrs": {\n    ".attrs.sh": '
    rx_env_string "$(<"$NIX_ATTRS_SH_FILE")"
    rx_env_json+=$',\n    ".attrs.json": '
    rx_env_string "$(<"$NIX_ATTRS_JSON_FILE")"
    rx_env_json+=$'\n  }'
fi
rx_env_json+=$'\n}\n'

# With structured attributes, `outputs` holds paths; otherwise names of variables.
rx_env_targets=()
if [[ -e "$NIX_ATTRS_SH_FILE" ]]; then
    rx_env_targets=("${outputs[@]}")
else
    for rx_env_word in $outputs; do
        rx_env_targets+=("${!rx_env_word}")
    done
fi
for rx_env_word in "${rx_env_targets[@]}"; do
    printf '%s' "$rx_env_json" >"$rx_env_word"
    rx_env_json=
done
