// One page over the log: runs, people, changes, failures, throttling, real time, and what drives the cost.

param appName string
param location string
param tags { *: string }

@description('The workspace that holds the logs')
param workspaceId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, appName, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Entra User Sync: ${appName}'
    category: 'workbook'
    sourceId: workspaceId
    serializedData: replace(loadTextContent('workbook.json'), '__APP__', appName)
  }
}
