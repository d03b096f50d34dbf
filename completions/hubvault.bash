# Completion of hubvault for bash. Printed by "hubvault completion"; a test compares.

_hubvault()
{
    local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" verb='' flags='' i
    local options='store.dir index.dir index.map-size source.bootstrap source.auth source.tls source.ca-file source.user source.password-file source.connection-string-file source.hub-credential source.hubs source.include source.exclude source.discovery-interval source.timeout source.group source.assignment source.assignment-group source.assignment-instance source.session-timeout source.release-timeout source.rdkafka oauth.method oauth.tenant oauth.client-id oauth.client-secret-file oauth.token-file oauth.authority oauth.scope oauth.imds-endpoint segment.max-bytes segment.max-age segment.block-bytes segment.codec segment.level archiver.memory archiver.workers archiver.uploaders archiver.headroom-warning archiver.follow-interval archiver.group-commit archiver.snapshot-interval archiver.stall-limit http.listen metrics.teams metrics.partitions log.level log.format'
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${COMP_WORDS[i]}" in
        --*) ;;
        run) verb='run'; break ;;
        replay) verb='replay'; break ;;
        show) verb='show'; break ;;
        verify) verb='verify'; break ;;
        findings) verb='findings'; break ;;
        index) verb='index'; break ;;
        demo) verb='demo'; break ;;
        groups) verb='groups'; break ;;
        hubs) verb='hubs'; break ;;
        segments) verb='segments'; break ;;
        status) verb='status'; break ;;
        doctor) verb='doctor'; break ;;
        options) verb='options'; break ;;
        logs) verb='logs'; break ;;
        metrics) verb='metrics'; break ;;
        completion) verb='completion'; break ;;
        esac
    done
    case "$verb $before" in
    *' --config') COMPREPLY=($(compgen -f -- "$word")); return ;;
    *' --set') COMPREPLY=($(compgen -S = -W "$options" -- "$word")); compopt -o nospace; return ;;
    *' --store') COMPREPLY=($(compgen -d -- "$word")); return ;;
    *' --index') COMPREPLY=($(compgen -d -- "$word")); return ;;
    *' --output') COMPREPLY=($(compgen -W 'table json' -- "$word")); return ;;
    replay' --from')  return ;;
    replay' --to')  return ;;
    replay' --from-offset')  return ;;
    replay' --to-offset')  return ;;
    replay' --cursor')  return ;;
    replay' --cursor-file') COMPREPLY=($(compgen -f -- "$word")); return ;;
    replay' --incarnation')  return ;;
    replay' --partition')  return ;;
    replay' --key')  return ;;
    replay' --key-glob')  return ;;
    replay' --key-base64')  return ;;
    replay' --header')  return ;;
    replay' --type')  return ;;
    replay' --order') COMPREPLY=($(compgen -W 'offset time' -- "$word")); return ;;
    replay' --limit')  return ;;
    replay' --sink') COMPREPLY=($(compgen -W 'jsonl raw avro kafka' -- "$word")); return ;;
    replay' --out') COMPREPLY=($(compgen -f -- "$word")); return ;;
    replay' --body') COMPREPLY=($(compgen -W 'json base64' -- "$word")); return ;;
    replay' --separator') COMPREPLY=($(compgen -W 'newline nul none length' -- "$word")); return ;;
    replay' --codec') COMPREPLY=($(compgen -W 'zstandard deflate null' -- "$word")); return ;;
    replay' --topic')  return ;;
    replay' --rename')  return ;;
    replay' --partition-map')  return ;;
    replay' --bootstrap')  return ;;
    replay' --target') COMPREPLY=($(compgen -f -- "$word")); return ;;
    replay' --id')  return ;;
    replay' --replication')  return ;;
    replay' --topic-config') COMPREPLY=($(compgen -S = -W "$options" -- "$word")); compopt -o nospace; return ;;
    replay' --offset-map') COMPREPLY=($(compgen -f -- "$word")); return ;;
    replay' --translate-groups')  return ;;
    replay' --rate')  return ;;
    replay' --speed')  return ;;
    replay' --longest-pause')  return ;;
    replay' --damaged') COMPREPLY=($(compgen -W 'stop skip' -- "$word")); return ;;
    show' --incarnation')  return ;;
    verify' --threads')  return ;;
    index' --into') COMPREPLY=($(compgen -d -- "$word")); return ;;
    groups' --at')  return ;;
    groups' --hub')  return ;;
    groups' --offset-map') COMPREPLY=($(compgen -f -- "$word")); return ;;
    groups' --bootstrap')  return ;;
    groups' --target') COMPREPLY=($(compgen -f -- "$word")); return ;;
    groups' --at')  return ;;
    segments' --from')  return ;;
    segments' --to')  return ;;
    segments' --from-offset')  return ;;
    segments' --to-offset')  return ;;
    segments' --incarnation')  return ;;
    options' --format') COMPREPLY=($(compgen -W 'table markdown man' -- "$word")); return ;;
    esac
    if [[ -z $verb ]]; then
        COMPREPLY=($(compgen -W 'run replay show verify findings index index index demo groups groups hubs segments status doctor options logs metrics completion  --config --set --store --index --output --help --version' -- "$word"))
        return
    fi
    case "$verb" in
    run) flags+='  --once' ;;&
    replay) flags+='  --from --to --from-offset --to-offset --cursor --cursor-file --incarnation --partition --key --key-glob --key-base64 --header --type --order --limit --sink --out --body --separator --codec --topic --rename --partition-map --bootstrap --target --id --no-transactions --create-topics --replication --topic-config --offset-map --translate-groups --rate --speed --longest-pause --damaged --follow --dry-run' ;;&
    show) flags+='  --incarnation' ;;&
    verify) flags+='  --quick --no-index --threads' ;;&
    findings) flags+=' ' ;;&
    index) flags+=' rebuild --into --partial' ;;&
    index) flags+=' stats' ;;&
    index) flags+=' dump' ;;&
    demo) flags+=' ' ;;&
    groups) flags+=' ls --at --hub --partitions' ;;&
    groups) flags+=' translate --offset-map --bootstrap --target --at --dry-run --overwrite --allow-gap' ;;&
    hubs) flags+='  --partitions' ;;&
    segments) flags+='  --from --to --from-offset --to-offset --incarnation' ;;&
    status) flags+='  --offline --gaps' ;;&
    doctor) flags+='  --offline' ;;&
    options) flags+='  --format' ;;&
    logs) flags+=' ' ;;&
    metrics) flags+=' ' ;;&
    completion) flags+=' ' ;;&
    esac
    COMPREPLY=($(compgen -W "$flags --config --set --store --index --output --help --version" -- "$word"))
}
complete -F _hubvault hubvault
