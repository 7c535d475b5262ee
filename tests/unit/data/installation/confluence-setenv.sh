# In the shape of the file that Confluence 7 and later ship; shortened.
echo "If you encounter issues starting up Confluence, please see the Installation guide"

if [ -z "$CATALINA_PID" ] ; then
    if [ -n "$CATALINA_BASE" ] ; then
        CATALINA_PID="$CATALINA_BASE"/work/catalina.pid
    elif [ -n "$CATALINA_HOME" ] ; then
        CATALINA_PID="$CATALINA_HOME"/work/catalina.pid
    fi
fi
export CATALINA_PID

PRGDIR=`dirname "$0"`
PUSHED_DIR=`pwd`

if $os400; then
  . "$CATALINA_HOME"/bin/setjre.sh
else
  if [ -r "$CATALINA_HOME"/bin/setjre.sh ]; then
    . "$CATALINA_HOME"/bin/setjre.sh
  else
    echo "Cannot find $CATALINA_HOME/bin/setjre.sh"
    exit 1
  fi
fi

CONFLUENCE_CONTEXT_PATH=`$JRE_HOME/bin/java -jar $CATALINA_HOME/bin/confluence-context-path-extractor.jar $CATALINA_HOME`
export CONFLUENCE_CONTEXT_PATH

CATALINA_OPTS="-Xms1024m -Xmx1024m ${CATALINA_OPTS}"
#CATALINA_OPTS="-Dexample.commented=true ${CATALINA_OPTS}"
CATALINA_OPTS="-Xlog:gc+age=debug:file=$CATALINA_HOME/logs/gc-`date +%F_%H-%M-%S`.log::filecount=5 ${CATALINA_OPTS}"
CATALINA_OPTS="-Djava.awt.headless=true ${CATALINA_OPTS}"
CATALINA_OPTS="-Dconfluence.context.path=${CONFLUENCE_CONTEXT_PATH} ${CATALINA_OPTS}"
CATALINA_OPTS="-DcatalinaConnectorProxyName=wiki.example.org ${CATALINA_OPTS}"
CATALINA_OPTS="${START_CONFLUENCE_JAVA_OPTS} ${CATALINA_OPTS}"

export CATALINA_OPTS
