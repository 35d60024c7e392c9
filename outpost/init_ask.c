#include "outpost/init.h"

#include <ctype.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/error.h"
#include "base/xalloc.h"
#include "mail/address.h"

/* Where Azure's Kubernetes puts it. */
#define WORKLOAD_TOKEN "/var/run/secrets/azure/tokens/azure-identity-token"

/* A line from the terminal, without blanks around it; NULL at its end. */
static char *
ask(const char *question, const char *standard)
{
	char *line = NULL, *start;
	size_t size = 0, len;

	if (standard != NULL)
		printf("%s [%s]: ", question, standard);
	else
		printf("%s: ", question);
	(void)fflush(stdout);
	if (getline(&line, &size, stdin) == -1) {
		free(line);
		return NULL;
	}
	start = line + strspn(line, " \t");
	len = strcspn(start, "\r\n");
	while (len > 0 && isspace((unsigned char)start[len - 1]))
		len--;
	if (len == 0 && standard != NULL)
		start = xstrdup(standard);
	else
		start = xstrndup(start, len);
	free(line);
	return start;
}

static int
ask_for(struct init *init, const char *key, bool main, const char *question,
    const char *standard, struct error *err)
{
	char *answer;

	if (init_get(init, key) != NULL)
		return 0;
	if ((answer = ask(question, standard)) == NULL)
		return error_set(
		    err, EX_USAGE, "5.3.0", "no answer: nothing is written");
	init_set(init, main, key, answer);
	free(answer);
	return 0;
}

static int
ask_mailbox(struct init *init, struct error *err)
{
	while (init->mailbox == NULL ||
	       address_smtp_safe(init->mailbox, NULL, NULL) == -1) {
		char *answer = ask("The mailbox that sends, as in "
				   "alerts@contoso.com",
		    NULL);

		if (answer == NULL)
			return error_set(err, EX_USAGE, "5.3.0",
			    "no answer: nothing is written");
		init_set(init, false, "mailbox", answer);
		free(answer);
	}
	return 0;
}

static int
ask_credential(struct init *init, struct error *err)
{
	const char *auth = init_get(init, "auth");
	char *folder = init_secrets_folder(init), *standard = NULL;
	int result = 0;

	if (auth != NULL && strcmp(auth, "secret") == 0) {
		standard = xasprintf("%s/app-secret", folder);
		result = ask_for(init, "client_secret_file", false,
		    "The file that holds the client secret", standard, err);
	} else if (auth != NULL && strcmp(auth, "certificate") == 0) {
		standard = xasprintf("%s/app.pem", folder);
		result = ask_for(init, "certificate", false,
		    "The file with certificate and key, in PEM", standard, err);
	} else if (auth != NULL && strcmp(auth, "workload-identity") == 0)
		result = ask_for(init, "federated_token_file", false,
		    "The file where the platform keeps the token",
		    WORKLOAD_TOKEN, err);
	free(standard);
	free(folder);
	return result;
}

int
init_ask(struct init *init, struct error *err)
{
	if (ask_mailbox(init, err) == -1 ||
	    ask_for(init, "auth", false,
		"How it gets its tokens: login, secret, certificate, "
		"managed-identity or workload-identity",
		"login", err) == -1 ||
	    ask_for(init, "tenant", false,
		"Tenant, its id or domain (nothing for outlook.com and "
		"managed-identity)",
		NULL, err) == -1 ||
	    ask_for(init, "client_id", false, "Client id of the application",
		NULL, err) == -1 ||
	    ask_credential(init, err) == -1)
		return -1;
	return ask_for(init, "admin", true,
	    "Who gets mail for root and other local users (nothing: the "
	    "mailbox)",
	    NULL, err);
}
