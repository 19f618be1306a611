# Completion of rx for fish: rx itself is asked what can stand where the cursor is, so that commands, options, attributes
# of files, expressions and flakes, and files are always those of the program that is installed.
function __rx_complete
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    set -l current (commandline --current-token --cut-at-cursor)
    set -l answer (env NIX_GET_COMPLETIONS=(count $words) $words $current 2>/dev/null)
    if test "$answer[1]" = filenames; or test (count $answer) -lt 2
        # Files as fish knows them, with what they are.
        __fish_complete_path $current
    else
        printf '%s\n' $answer[2..-1]
    end
end

complete --command rx --no-files --arguments '(__rx_complete)'
