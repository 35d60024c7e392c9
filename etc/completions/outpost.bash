# bash completion for outpost(8) and mailq(8).

# Mailboxes of the configuration's sections.
_outpost_accounts() {
	local file=${OUTPOST_CONFIG:-/etc/outpost/outpost.conf}
	[ -r "$file" ] || file=${XDG_CONFIG_HOME:-~/.config}/outpost/outpost.conf
	[ -r "$file" ] && sed -n 's/^[[:space:]]*\[\(.*@.*\)].*/\1/p' "$file"
}

_outpost() {
	local commands="init login logout token check status explain help version"
	local command= word i flags=
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-C) ((i++)) ;;
		-*) ;;
		*) command=${COMP_WORDS[i]}; break ;;
		esac
	done
	word=${COMP_WORDS[COMP_CWORD]}
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-C | --*-file | --from-msmtp | --certificate | --output | --*-dir)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return ;;
	--auth) flags="login secret certificate managed-identity workload-identity" ;;
	--cloud) flags="global outlook gcchigh dod china hve" ;;
	--identity) flags="auto vm app-service msi arc" ;;
	--mailbox | --tenant | --client-id | --admin | --set | --send | \
	    --identity-endpoint) return ;;
	*)
		case $command in
		'') flags="-C $commands" ;;
		help) flags=$commands ;;
		init) flags="--mailbox --auth --tenant --client-id --secret-file
			--certificate --key-file --federated-token-file
			--identity --identity-endpoint --identity-header-file
			--cloud --admin --state-dir --queue-dir --set --from-env
			--from-msmtp --output --force" ;;
		login) flags="--browser --device --paste $(_outpost_accounts)" ;;
		logout | token) flags=$(_outpost_accounts) ;;
		check) flags="--send --json $(_outpost_accounts)" ;;
		status) flags="--json --prometheus" ;;
		explain) flags="--json" ;;
		esac ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$word")
}

_outpost_mailq() {
	local word=${COMP_WORDS[COMP_CWORD]}
	COMPREPLY=()
	# Other sendmails have a mailq of the same name.
	[ -x /usr/libexec/outpost/submit ] || return
	case $word in
	-*) mapfile -t COMPREPLY < <(compgen -W "--remove --retry-failed --failed --verbose
		--release --hold --json --count --retry --show --help -C" \
		-- "$word") ;;
	*) mapfile -t COMPREPLY < <(compgen -W "ALL $(mailq --json 2>/dev/null |
		sed -n 's/.*"queue_id": *"\([^"]*\)".*/\1/p') $(_outpost_accounts)" \
		-- "$word") ;;
	esac
}

complete -F _outpost outpost
complete -F _outpost_mailq mailq
