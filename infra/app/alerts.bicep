// Alerts over the app's own events, and over the platform's count of failed answers. docs/operate.md has a page of each.

param appName string
param location string
param tags { *: string }

@description('The workspace that holds the logs')
param workspaceId string

@description('Who is told')
param actionGroupId string

@description('Gigabytes of logs a day, above which nothing more is kept')
param logDailyQuotaGb int

// The queries as lines, beside what is counted. Held against the events of the code by tests/infra/test_queries.py.
var alerts = loadJsonContent('alerts.json')

resource site 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
}

resource rule 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for alert in alerts: {
    name: '${appName}-${alert.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: alert.title
      description: 'What it means and what to do: docs/operate.md#${alert.name}'
      severity: alert.severity
      enabled: true
      scopes: [workspaceId]
      windowSize: alert.window
      evaluationFrequency: alert.every
      criteria: {
        allOf: [
          {
            query: replace(
              replace(join(alert.query, '\n'), '__APP__', appName),
              '__CAP_MB__',
              string(logDailyQuotaGb * 1000)
            )
            // Rows, never a sum: where nothing is logged a sum has no value, and the rule says nothing.
            timeAggregation: 'Count'
            operator: alert.operator
            threshold: alert.threshold
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      // A new workspace has no table yet.
      skipQueryValidation: true
      // A state ends by itself and that is told. An event is told once: its window is twice the frequency, so that what
      // arrives late is seen, and it is not told again at the next look.
      autoMitigate: alert.kind == 'state'
      // At least the frequency: github.com/Azure/azure-cli/issues/26581
      ...(alert.kind == 'event' ? { muteActionsDuration: alert.every } : {})
      actions: { actionGroups: [actionGroupId] }
    }
  }
]

// The platform counts by itself, so it tells also where no log arrives.
resource failedAnswers 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${appName}-http-5xx'
  location: 'global'
  tags: tags
  properties: {
    description: 'What it means and what to do: docs/operate.md#http-5xx'
    severity: 2
    enabled: true
    scopes: [site.id]
    windowSize: 'PT15M'
    evaluationFrequency: 'PT5M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'http5xx'
          metricName: 'Http5xx'
          operator: 'GreaterThan'
          threshold: 5
          timeAggregation: 'Total'
          criterionType: 'StaticThresholdCriterion'
        }
      ]
    }
    actions: [{ actionGroupId: actionGroupId }]
  }
}
