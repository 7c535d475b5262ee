#!/bin/bash
# Stops the application as the user that user.sh names, whoever calls it.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/user.sh"

if [ -n "$JIRA_USER" ] && [ "$(id -un)" != "$JIRA_USER" ]; then
    exec su "$JIRA_USER" -s /bin/bash -c "$here/stop-jira.sh $*"
fi
# -force: a JVM that does not end within the ten seconds is killed (catalina.pid says which).
exec "$here/shutdown.sh" 10 -force
