#compdef rx
# Completion of rx for zsh: rx itself is asked what can stand where the cursor is, so that commands, options, attributes
# of files, expressions and flakes, and files are always those of the program that is installed.
_rx() {
    local line candidate about
    local -a answers candidates shown ending
    answers=("${(@f)$(NIX_GET_COMPLETIONS=$((CURRENT - 1)) "${(@Q)words[1,CURRENT]}" 2>/dev/null)}")
    case $answers[1] in
        # Files as zsh knows them: with their kinds, colours and settings.
        filenames) _files; return ;;
        attrs) ending=(-S '') ;;
    esac
    shift answers
    for line in $answers; do
        candidate=${line%%$'\t'*}
        about=${line#*$'\t'}
        candidates+=("$candidate")
        if [[ -n $about ]]; then
            shown+=("${(r:34:)candidate} $about")
        else
            shown+=("$candidate")
        fi
    done
    if (( $#candidates == 0 )); then
        _files
    elif [[ $shown == $candidates ]]; then
        compadd "${ending[@]}" -- $candidates
    else
        compadd -l -d shown "${ending[@]}" -- $candidates
    fi
}

# Loaded as a function of the same name, or read by a start-up file.
if [ "$funcstack[1]" = _rx ]; then
    _rx "$@"
else
    compdef _rx rx
fi
