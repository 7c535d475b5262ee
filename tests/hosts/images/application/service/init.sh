#!/bin/bash
# @PRODUCT@ Linux service controller script
# (the form the installer writes: no LSB header, named after the run user)
cd "/opt/atlassian/@PRODUCT@/bin"

case "$1" in
    start)
        ./start-@PRODUCT@.sh
        ;;
    stop)
        ./stop-@PRODUCT@.sh
        ;;
    restart)
        ./stop-@PRODUCT@.sh
        ./start-@PRODUCT@.sh
        ;;
    *)
        echo "Usage: $0 {start|stop|restart}"
        exit 1
        ;;
esac
