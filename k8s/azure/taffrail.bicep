// The workbook and the alert rules of Taffrail for one Application Insights resource:
//   az deployment group create -g GROUP -f taffrail.bicep -p applicationInsightsId=... actionGroupId=...

@description('The Application Insights resource that sidecars send to, as its resource id.')
param applicationInsightsId string

@description('Who is told when a rule fires, as the resource id of an action group; without one, nobody is.')
param actionGroupId string = ''

param location string = resourceGroup().location

@description('Names of rules begin with it.')
param prefix string = 'taffrail'

param workbookName string = 'Taffrail'

@description('Instead of the thresholds in alerts.json, by the name of the rule; such as { latency: 2, failures: 1 }.')
param thresholds object = {}

@description('Names of rules that are made, but do not fire; such as silence, where a model may be scaled to nothing.')
param disabled array = []

var alerts = loadJsonContent('alerts.json')
var limits = union(alerts.thresholds, thresholds)
var actionGroups = empty(actionGroupId) ? [] : [actionGroupId]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, applicationInsightsId, 'taffrail')
  location: location
  kind: 'shared'
  properties: {
    displayName: workbookName
    category: 'workbook'
    sourceId: applicationInsightsId
    serializedData: loadTextContent('workbook.json')
  }
}

resource rules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for rule in alerts.rules: {
  name: '${prefix}-${rule.name}'
  location: location
  kind: 'LogAlert'
  properties: {
    displayName: '${prefix}: ${rule.title}'
    description: rule.says
    severity: rule.severity
    enabled: !contains(disabled, rule.name)
    scopes: [applicationInsightsId]
    targetResourceTypes: ['microsoft.insights/components']
    evaluationFrequency: rule.every
    windowSize: rule.window
    criteria: {
      allOf: [
        {
          query: rule.query
          timeAggregation: rule.aggregation
          metricMeasureColumn: rule.measure
          dimensions: rule.dimensions
          operator: rule.operator
          threshold: limits[rule.name]
          failingPeriods: {
            numberOfEvaluationPeriods: rule.of
            minFailingPeriodsToAlert: rule.failing
          }
        }
      ]
    }
    autoMitigate: true
    actions: {
      actionGroups: actionGroups
    }
  }
}]

output workbookId string = workbook.id
