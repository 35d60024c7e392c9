# fish completion for outpost(8).

function __outpost_accounts
    for file in $OUTPOST_CONFIG /etc/outpost/outpost.conf ~/.config/outpost/outpost.conf
        if test -r $file
            string match -gr '^\s*\[(.*@.*)\]' <$file
            return
        end
    end
end

set -l none __fish_use_subcommand
complete -c outpost -f
complete -c outpost -n $none -s C -r -F -d configuration
complete -c outpost -n $none -a init -d 'write a configuration'
complete -c outpost -n $none -a login -d 'sign in with a browser'
complete -c outpost -n $none -a logout -d 'forget a sign-in'
complete -c outpost -n $none -a token -d 'print a valid access token'
complete -c outpost -n $none -a check -d 'try all that sending needs'
complete -c outpost -n $none -a status -d 'how accounts and queue are'
complete -c outpost -n $none -a explain -d 'what a reply or an error means'
complete -c outpost -n $none -a help -d 'show how to use it'
complete -c outpost -n $none -a version -d 'show the version'

set -l init '__fish_seen_subcommand_from init'
for flag in mailbox tenant client-id admin identity-endpoint set
    complete -c outpost -n $init -l $flag -x
end
for flag in secret-file certificate key-file federated-token-file identity-header-file state-dir queue-dir from-msmtp output
    complete -c outpost -n $init -l $flag -r -F
end
complete -c outpost -n $init -l auth -x -a 'login secret certificate managed-identity workload-identity'
complete -c outpost -n $init -l cloud -x -a 'global outlook gcchigh dod china hve'
complete -c outpost -n $init -l identity -x -a 'auto vm app-service msi arc'
complete -c outpost -n $init -l from-env -d 'for containers'
complete -c outpost -n $init -l force -d 'replace what is there'

complete -c outpost -n '__fish_seen_subcommand_from login' -l browser -d 'on this machine'
complete -c outpost -n '__fish_seen_subcommand_from login' -l device -d 'by a code'
complete -c outpost -n '__fish_seen_subcommand_from login' -l paste -d 'its address'
complete -c outpost -n '__fish_seen_subcommand_from login logout token check' -a '(__outpost_accounts)'
complete -c outpost -n '__fish_seen_subcommand_from check' -l send -x -d 'a message there'
complete -c outpost -n '__fish_seen_subcommand_from check status explain' -l json -d 'for programs'
complete -c outpost -n '__fish_seen_subcommand_from status' -l prometheus -d 'text exposition'
complete -c outpost -n '__fish_seen_subcommand_from help' -a 'init login logout token check status explain version'
