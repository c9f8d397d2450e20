# bash completion of mockcloud; printed by `mockcloud completion bash`
_mockcloud()
{
    local cur=${COMP_WORDS[COMP_CWORD]} line
    COMPREPLY=()
    while IFS= read -r line; do
        line=${line%%$'\t'*}
        [[ $cur == = || $line == "${cur}"* ]] && COMPREPLY+=("$line")
    done < <(mockcloud __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]]; then
        compopt -o nospace
    fi
}
complete -o default -F _mockcloud mockcloud
