# Completion of rx for bash: rx itself is asked what can stand where the cursor is, so that commands, options, attributes
# of files, expressions and flakes, and files are always those of the program that is installed.
_rx() {
    local line=${COMP_LINE:0:COMP_POINT} word prefix kind candidate about
    local -a words
    read -ra words <<<"$line"
    case $line in
        *[[:space:]]) words+=("") ;;
    esac
    word=${words[${#words[@]} - 1]}
    # For bash a word may begin behind one of these characters, and only the rest is to be answered.
    prefix=${word%"${word##*[:=]}"}
    COMPREPLY=()
    kind=
    while IFS=$'\t' read -r candidate about; do
        if [ -z "$kind" ]; then
            kind=$candidate
        else
            COMPREPLY+=("${candidate#"$prefix"}")
        fi
    done < <(NIX_GET_COMPLETIONS=$((${#words[@]} - 1)) "${words[@]}" 2>/dev/null)
    case $kind in
        filenames) compopt -o filenames 2>/dev/null ;;
        attrs) compopt -o nospace 2>/dev/null ;;
    esac
}

# Where rx has no answer, files are offered.
complete -o default -F _rx rx
