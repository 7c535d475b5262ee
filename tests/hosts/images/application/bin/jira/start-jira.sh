#!/bin/bash
# Starts the application as the user that user.sh names, whoever calls it.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/user.sh"

if [ -n "$JIRA_USER" ] && [ "$(id -un)" != "$JIRA_USER" ]; then
    exec su "$JIRA_USER" -s /bin/bash -c "$here/start-jira.sh $*"
fi
if [ "$1" = "-fg" ]; then
    exec "$here/catalina.sh" run
fi
exec "$here/startup.sh"
