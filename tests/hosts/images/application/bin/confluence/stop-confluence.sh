#!/bin/bash
# Stops the application as the user that user.sh names, whoever calls it.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/user.sh"

if [ -n "$CONF_USER" ] && [ "$(id -un)" != "$CONF_USER" ]; then
    exec su "$CONF_USER" -s /bin/bash -c "$here/stop-confluence.sh $*"
fi
# -force: a JVM that does not end within the ten seconds is killed (catalina.pid says which).
exec "$here/shutdown.sh" 10 -force
