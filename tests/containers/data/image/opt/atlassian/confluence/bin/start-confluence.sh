#!/bin/sh
exec /opt/atlassian/confluence/bin/catalina.sh run
