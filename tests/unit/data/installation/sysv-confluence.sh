#!/bin/bash
# In the shape of the script that the installer's install_linux_service.sh writes.
cd "/opt/atlassian/confluence/bin"

case "$1" in
    start)
        ./start-confluence.sh
        ;;
    stop)
        ./stop-confluence.sh
        ;;
    *)
        echo "Usage: $0 {start|stop}"
        exit 1
        ;;
esac
exit 0
