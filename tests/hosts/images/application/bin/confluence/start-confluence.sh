#!/bin/bash
# Starts the application as the user that user.sh names, whoever calls it.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/user.sh"

if [ -n "$CONF_USER" ] && [ "$(id -un)" != "$CONF_USER" ]; then
    exec su "$CONF_USER" -s /bin/bash -c "$here/start-confluence.sh $*"
fi
if [ "$1" = "-fg" ]; then
    exec "$here/catalina.sh" run
fi
exec "$here/startup.sh"
