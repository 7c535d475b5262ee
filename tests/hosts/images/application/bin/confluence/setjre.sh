# Which Java the application runs on: the one that the installer brought.
JRE_HOME="/opt/atlassian/confluence/jre/"; export JRE_HOME
